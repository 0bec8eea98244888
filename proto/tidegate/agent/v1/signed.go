// Package agentv1 is what an agent and the control plane say to each other: generated messages, and beside them what a signature covers.
package agentv1

import "google.golang.org/protobuf/reflect/protoreflect"

// SignedBytes are the bytes that the signature of a Signed covers: "tidegate.", the payload's message name in full
// ("tidegate.agent.v1.DesiredState"), a zero byte, and the payload. The control plane signs them and the agent verifies them.
func SignedBytes(name protoreflect.FullName, payload []byte) []byte {
	signed := make([]byte, 0, len("tidegate.")+len(name)+1+len(payload))
	signed = append(signed, "tidegate."...)
	signed = append(signed, name...)
	signed = append(signed, 0)
	return append(signed, payload...)
}
