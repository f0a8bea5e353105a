/** Containers: docker, podman, docker compose. */
import type { ContainerEndpoint } from './endpoint.ts';
import type { TransportSettings } from './options.ts';

type Argv = [string, ...string[]];

/** `docker exec -i`, never `-t`: a terminal turns LF into CR LF and takes bytes for keys. */
export function containerCommand(endpoint: ContainerEndpoint, words: readonly string[]): Argv {
  return [endpoint.kind, 'exec', '-i', ...asUser(endpoint), endpoint.container, ...words];
}

/** `docker compose exec -T`: compose takes a terminal unless told otherwise, and keeps stdin open by itself. */
export function composeCommand(
  endpoint: ContainerEndpoint,
  words: readonly string[],
  { composeFile }: TransportSettings,
): Argv {
  const file = composeFile === undefined ? [] : ['-f', composeFile];
  return ['docker', 'compose', ...file, 'exec', '-T', ...asUser(endpoint), endpoint.container, ...words];
}

function asUser({ user }: ContainerEndpoint): string[] {
  return user === undefined ? [] : ['-u', user];
}
