// Package journal keeps on the agent's disk what it needs to serve after a restart with no control plane: the content of
// the revisions that it holds, the desired state that it accepted, the fast lane, and the candidates that it dropped.
//
// On disk there are generations. A generation is a checkpoint, which holds everything, and a log of what was appended
// since; when the log outgrows its checkpoint the next generation begins, so that writing costs what changed. Two
// generations are kept. Each file is a header and then frames: a length, a CRC-32C, and a payload sealed for this agent.
// What was appended is on the disk when Append returns.
//
// Recovery takes the newest generation whose checkpoint is whole, replays logs over it up to the first frame that is not
// what was written, and never fails because of what it reads: at worst the state is empty and the agent asks the control
// plane for everything.
//
// The package knows nothing of streams, snapshots or how a state is judged.
package journal
