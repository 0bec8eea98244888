package fleet

import (
	"fmt"

	"google.golang.org/grpc/encoding"
	_ "google.golang.org/grpc/encoding/proto" // registers the codec that is looked up below
	"google.golang.org/grpc/mem"
	"google.golang.org/protobuf/proto"

	agentv1 "tidegate.dev/proto/tidegate/agent/v1"
)

// encoded is a message to agents that was encoded once: the same bytes go out on every stream.
type encoded []byte

func encode(message *agentv1.ConnectResponse) (encoded, error) {
	bytes, err := proto.Marshal(message)
	if err != nil {
		return nil, fmt.Errorf("encoding a message to agents: %w", err)
	}
	return bytes, nil
}

// sharingCodec is protobuf's, but for messages that are encoded already.
type sharingCodec struct{ encoding.CodecV2 }

func newSharingCodec() sharingCodec { return sharingCodec{encoding.GetCodecV2("proto")} }

// Marshal implements encoding.CodecV2.
func (c sharingCodec) Marshal(message any) (mem.BufferSlice, error) {
	if bytes, shared := message.(encoded); shared {
		return mem.BufferSlice{mem.SliceBuffer(bytes)}, nil
	}
	return c.CodecV2.Marshal(message)
}
