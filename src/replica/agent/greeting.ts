/** What the two ends of a pipe tell each other before the first call. */
import { array, bool, count, float, oneOf, optional, struct, text, type ValueOf } from '../../wire/codec.ts';
import { hostPath } from './values.ts';

/** Raised with every change of what goes over the wire. Only a `lockstep serve` can be of another version than we are. */
export const protocolVersion = 5;

/** Type of both messages on the wire; the calls' types are below it (protocol.ts). */
export const greetingType = 12;

/** What an agent says first. Later versions may only add to its end. */
export const agentGreeting = struct({
  protocol: count,
  /** Lockstep's version over there. */
  version: text,
  node: text,
  platform: text,
  /** The clock over there, milliseconds since 1970. */
  clockMs: float,
  zstd: bool,
  /** The roots that may be named; any may when it is empty. */
  roots: array(hostPath, 1000),
  readOnly: bool,
});
export type AgentGreeting = ValueOf<typeof agentGreeting>;

/** What the controller answers: how the agent is to send. */
export const controllerGreeting = struct({
  compress: oneOf('auto', 'on', 'off'),
  bytesPerSecond: optional(count),
  /** It can unpack it. */
  zstd: bool,
});
export type ControllerGreeting = ValueOf<typeof controllerGreeting>;

/**
 * How often an agent says that it lives, whatever it is doing, and when it takes its controller for dead, ms: a process in a
 * container goes on when the `docker exec` that started it has died.
 */
export const agentPulse = { heartbeatMs: 1500, silenceMs: 30_000 };
