package listener

import (
	"context"
	"fmt"
	"net"
	"os"
)

// Notify tells the service manager how the process is, as sd_notify(3) has it: "READY=1". Where there is no such manager it does
// nothing.
func Notify(ctx context.Context, state string) error {
	name := os.Getenv("NOTIFY_SOCKET")
	if name == "" {
		return nil
	}
	if name[0] == '@' {
		name = "\x00" + name[1:] // a name that is no file
	}
	conn, err := new(net.Dialer).DialContext(ctx, "unixgram", name)
	if err != nil {
		return fmt.Errorf("telling the service manager: %w", err)
	}
	defer func() { _ = conn.Close() }()
	if _, err := conn.Write([]byte(state)); err != nil {
		return fmt.Errorf("telling the service manager: %w", err)
	}
	return nil
}
