package local

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"time"
)

// cannotConnectNow is the SQLSTATE of a server that starts up, shuts down or recovers (PostgreSQL manual, appendix A).
const cannotConnectNow = "57P03"

// Ping asks a Postgres server at address (host:port) whether it accepts connections, the way pg_isready does: it
// opens the protocol (PostgreSQL manual, "Message Flow", version 3.0) and hangs up when the server asks for a
// password. It needs no password itself and leaves no session behind.
func Ping(ctx context.Context, address string) error {
	connection, err := (&net.Dialer{}).DialContext(ctx, "tcp", address)
	if err != nil {
		return fmt.Errorf("connecting to Postgres: %w", err)
	}
	defer connection.Close() //nolint:errcheck // nothing was written that could be lost
	// Closing is what ends a read that the context no longer wants.
	stop := context.AfterFunc(ctx, func() { _ = connection.SetDeadline(time.Unix(1, 0)) })
	defer stop()

	if _, err := connection.Write(startupMessage()); err != nil {
		return fmt.Errorf("greeting Postgres: %w", err)
	}
	var header [5]byte // A type and a length, which counts itself but not the type.
	if _, err := io.ReadFull(connection, header[:]); err != nil {
		return fmt.Errorf("waiting for the answer of Postgres: %w", errors.Join(context.Cause(ctx), err))
	}
	switch header[0] {
	case 'R': // It wants to know who we are, so it accepts.
		return nil
	case 'E':
		length := binary.BigEndian.Uint32(header[1:])
		if length < 4 {
			return errors.New("the answer is not Postgres's")
		}
		body := make([]byte, min(length, 4096)-4)
		if _, err := io.ReadFull(connection, body); err != nil {
			return fmt.Errorf("reading the answer of Postgres: %w", err)
		}
		return refusal(string(body))
	}
	return errors.New("the answer is not Postgres's")
}

func startupMessage() []byte {
	const protocol = 3 << 16
	parameters := "user\x00" + userName + "\x00database\x00postgres\x00\x00"
	message := binary.BigEndian.AppendUint32(nil, uint32(8+len(parameters)))
	message = binary.BigEndian.AppendUint32(message, protocol)
	return append(message, parameters...)
}

// refusal reads an ErrorResponse: fields of one letter and a text. Any error but "not now" comes from a server that
// does accept, as with pg_isready.
func refusal(fields string) error {
	var message string
	notNow := false
	for field := range strings.SplitSeq(fields, "\x00") {
		switch {
		case strings.HasPrefix(field, "C"):
			notNow = field == "C"+cannotConnectNow
		case strings.HasPrefix(field, "M"):
			message = field[1:]
		}
	}
	if notNow {
		return fmt.Errorf("not accepting yet: %s", message)
	}
	return nil
}
