import { describe, expect, it } from 'vitest';
import { parseFacts } from './facts.ts';
import { loaderExpression, packProgram, parseLoaderReply } from './loader.ts';
import { newMarker } from './marker.ts';
import { probeScript } from './probe-script.ts';
import { vagrantSsh } from './vagrant.ts';
import { transportSettings } from './options.ts';

describe('facts', () => {
  it('are read', () => {
    const text = [
      'uname Linux x86_64',
      'uid 1000',
      'umask 0022',
      'home /home/a b',
      'pwd /',
      'clock 1700000000',
      'boot 0b1e2c3d-0000-4000-8000-00000000000f',
      'tools  find tar nonsense',
      'tried v16.1.0 /usr/bin/node',
      'tried none /opt/a b/node',
      'node v20.1.0 /x y/node',
    ].join('\n');
    expect(parseFacts(Buffer.from(text), 5)).toEqual({
      system: 'Linux x86_64',
      uid: 1000,
      umask: 0o22,
      home: '/home/a b',
      workingDirectory: '/',
      userHome: undefined,
      clock: { seconds: 1_700_000_000, readAtMs: 5 },
      boot: '0b1e2c3d-0000-4000-8000-00000000000f',
      tools: new Set(['find', 'tar']),
      node: { path: '/x y/node', version: 'v20.1.0' },
      tried: [
        { path: '/usr/bin/node', version: 'v16.1.0' },
        { path: '/opt/a b/node', version: undefined },
      ],
    });
  });

  it('are unknown rather than wrong', () => {
    const nothing = {
      system: undefined,
      uid: undefined,
      umask: undefined,
      home: undefined,
      workingDirectory: undefined,
      userHome: undefined,
      clock: undefined,
      tools: new Set(),
      node: undefined,
      tried: [],
    };
    expect(parseFacts(Buffer.from(''), 5)).toEqual(nothing);
    const odd = 'uname \nuid -1\numask 99\nhome home\npwd \nuserhome ~ann\nclock %s\ntools\nnonsense\n\n';
    expect(parseFacts(Buffer.from(odd), 5)).toEqual(nothing);
    expect(parseFacts(Buffer.from('tried v1 /x\n'.repeat(5000)), 5).tried).toHaveLength(20);
  });
});

describe('what goes through foreign shells', () => {
  it('the probe has nothing that one of them would take for its own', () => {
    expect(probeScript).not.toMatch(/['\n!]/);
    expect(probeScript).not.toMatch(/\\['\\]|\\$/);
  });

  it('the loader has nothing that means something inside double quotes', () => {
    const expression = loaderExpression(newMarker(), packProgram('x'), true);
    expect(expression).toMatch(/^eval\(Buffer\.from\('[A-Za-z0-9+/=]+','base64'\)\+''\)$/);
    // It is an argument, and lines of some terminals end at 4096.
    expect(expression.length).toBeLessThan(4000);
  });
});

it.each([
  ['run sent', { kind: 'started', cached: false }],
  ['run cached', { kind: 'started', cached: true }],
  ['send', { kind: 'wanted' }],
  ['damaged', { kind: 'damaged' }],
  ['old v16.20.2', { kind: 'too-old', version: 'v16.20.2' }],
  ['old news', undefined],
  ['', undefined],
])('the loader says %j', (text, reply) => {
  expect(parseLoaderReply(text)).toEqual(reply);
});

describe('vagrant ssh-config', () => {
  const settings = transportSettings({ interactive: false });
  it.each(['', 'no configuration', 'Host -oProxyCommand=x\n  Port 1', 'Host a b'])('%j is none', (config) => {
    expect(() => vagrantSsh(config, ['sh'], settings)).toThrow('vagrant ssh-config printed no ssh configuration');
  });

  it('is that of the first host', () => {
    const config = 'Host a\r\n  Port 1\r\n\r\n# Port 2\r\nHost b\r\n  Port 3\r\n';
    const argv = vagrantSsh(config, ['sh'], settings);
    expect(argv.slice(0, 4)).toEqual(['ssh', '-F/dev/null', '-o', 'Port 1']);
    expect(argv).not.toContain('Port 3');
    expect(argv.slice(-2)).toEqual(['a', 'exec sh']);
  });
});
