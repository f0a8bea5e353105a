/** Pods: kubectl. */
import type { KubernetesEndpoint } from './endpoint.ts';

export function kubernetesCommand(endpoint: KubernetesEndpoint, words: readonly string[]): [string, ...string[]] {
  const { context, namespace, pod, container } = endpoint;
  return [
    'kubectl',
    'exec',
    '-i',
    ...(context === undefined ? [] : ['--context', context]),
    '-n',
    namespace,
    pod,
    ...(container === undefined ? [] : ['-c', container]),
    '--',
    ...words,
  ];
}
