package journal

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
)

// MaxPayload bounds the payload of one frame, in bytes.
const MaxPayload = 32 << 20

// frameHead is the length and the checksum, four bytes each, little-endian.
const frameHead = 8

// errDamaged says that bytes are not a frame: torn, flipped, or never written by us.
var errDamaged = errors.New("not a whole frame")

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// AppendFrame appends a frame with the payload to buf. The checksum covers the length too, so that a run of zeros, which
// a crash leaves in some file systems, is never a frame.
func AppendFrame(buf, payload []byte) ([]byte, error) {
	if len(payload) == 0 || len(payload) > MaxPayload {
		return buf, fmt.Errorf("a frame holds 1 to %d bytes, not %d", MaxPayload, len(payload))
	}
	var head [frameHead]byte
	binary.LittleEndian.PutUint32(head[:4], uint32(len(payload)))
	binary.LittleEndian.PutUint32(head[4:], frameSum(head[:4], payload))
	return append(append(buf, head[:]...), payload...), nil
}

// ReadFrame reads one frame. io.EOF means that nothing follows; any other error that the bytes are no frame or the reader
// failed.
func ReadFrame(r io.Reader) ([]byte, error) {
	var head [frameHead]byte
	if _, err := io.ReadFull(r, head[:]); err != nil {
		if errors.Is(err, io.ErrUnexpectedEOF) {
			return nil, errDamaged
		}
		return nil, err
	}
	length := binary.LittleEndian.Uint32(head[:4])
	if length == 0 || length > MaxPayload {
		return nil, errDamaged
	}
	payload, err := readExactly(r, int(length))
	if err != nil {
		return nil, err
	}
	if frameSum(head[:4], payload) != binary.LittleEndian.Uint32(head[4:]) {
		return nil, errDamaged
	}
	return payload, nil
}

// readExactly grows its buffer as bytes arrive, so that a wrong length does not allocate what is not there.
func readExactly(r io.Reader, length int) ([]byte, error) {
	const step = 1 << 20
	var payload []byte
	for len(payload) < length {
		part := min(step, length-len(payload))
		start := len(payload)
		payload = append(payload, make([]byte, part)...)
		if _, err := io.ReadFull(r, payload[start:]); err != nil {
			if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
				return nil, errDamaged
			}
			return nil, err
		}
	}
	return payload, nil
}

func frameSum(length, payload []byte) uint32 {
	return crc32.Update(crc32.Update(0, castagnoli, length), castagnoli, payload)
}
