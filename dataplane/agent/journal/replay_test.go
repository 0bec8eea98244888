package journal

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"testing"

	"google.golang.org/protobuf/proto"

	"tidegate.dev/proto/revision"
	agentv1 "tidegate.dev/proto/tidegate/agent/v1"
	configv1 "tidegate.dev/proto/tidegate/config/v1"
)

// FuzzReadFrame: any bytes are frames up to some point, and frames that are read are written the same.
func FuzzReadFrame(f *testing.F) {
	one, err := AppendFrame(nil, []byte("one"))
	if err != nil {
		f.Fatal(err)
	}
	two, err := AppendFrame(one, []byte("two"))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(two)
	f.Add(two[:len(two)-1])
	f.Add(make([]byte, 64))
	f.Add([]byte{0xff, 0xff, 0xff, 0x01, 0, 0, 0, 0, 1})
	f.Fuzz(func(t *testing.T, input []byte) {
		reader := bytes.NewReader(input)
		var written []byte
		for {
			payload, err := ReadFrame(reader)
			if errors.Is(err, io.EOF) && len(written) != len(input) {
				t.Fatal("the input was read to its end, and not all of it is frames")
			}
			if err != nil {
				break
			}
			if written, err = AppendFrame(written, payload); err != nil {
				t.Fatal(err)
			}
		}
		if !bytes.HasPrefix(input, written) {
			t.Fatalf("%x was read as %x", input, written)
		}
	})
}

// FuzzReplay: any records, however they came into a log, are taken or refused as a whole, and what was taken can be written
// as a checkpoint that leads to the same.
func FuzzReplay(f *testing.F) {
	content := revision.NewContent().Apply(revision.Delta{Upserts: []revision.Resource{
		{Key: revision.Key{Kind: configv1.Kind_KIND_ROUTE, Name: "a"}, Body: []byte("b")},
	}})
	root := content.Root()
	to := &agentv1.RevisionReference{Revision: 1, Root: root[:]}
	var log []byte
	for _, record := range []*agentv1.JournalRecord{
		ContentRecord(&agentv1.ContentRecord{To: to, Upserts: []*agentv1.EncodedResource{
			{Kind: configv1.Kind_KIND_ROUTE, Name: "a", Body: []byte("b")},
		}}),
		DesiredRecord(&agentv1.DesiredState{Epoch: 1, Generation: 1, Stable: to}),
		LaneRecord(&agentv1.LaneBatch{Epoch: 1, Reset_: true, ThroughSequence: 2, Entries: []*agentv1.LaneEntry{{Sequence: 2, Name: "k"}}}),
		DroppedRecord(&agentv1.DroppedRevision{Revision: 2}),
		KeyHashKeyRecord([]byte("key")),
	} {
		plain, err := proto.Marshal(record)
		if err != nil {
			f.Fatal(err)
		}
		log = append(binary.LittleEndian.AppendUint16(log, uint16(len(plain))), plain...)
	}
	f.Add(log)
	f.Fuzz(func(t *testing.T, input []byte) {
		state := newState("default", "a1")
		for len(input) >= 2 {
			length := min(int(binary.LittleEndian.Uint16(input)), len(input)-2)
			plain := input[2 : 2+length]
			input = input[2+length:]
			before := *state
			if err := state.replayRecord(plain); err != nil && state.Desired != before.Desired {
				t.Fatal("a record that was refused changed the state")
			}
		}
		again := newState("default", "a1")
		err := state.records(func(record *agentv1.JournalRecord) error {
			plain, err := encode(record)
			if err != nil {
				return err
			}
			return again.replayRecord(plain)
		})
		if err != nil {
			t.Fatalf("its checkpoint cannot be read: %v", err)
		}
		if !proto.Equal(again.Desired, state.Desired) || !proto.Equal(again.Lane(), state.Lane()) ||
			len(again.Holds()) != len(state.Holds()) || len(again.Dropped) != len(state.Dropped) {
			t.Fatalf("its checkpoint leads to another state")
		}
	})
}
