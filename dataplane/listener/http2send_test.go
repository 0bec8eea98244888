package listener

import (
	"bytes"
	"errors"
	"io"
	"net"
	"os"
	"testing"
	"time"
)

// guardedPipe is a guarded connection, and the client's end of it. What is written waits until the client reads.
func guardedPipe(t *testing.T, limits HTTP2Limits) (server, client net.Conn) {
	t.Helper()
	ours, client := net.Pipe()
	server = GuardHTTP2(ours, limits, nil)
	_ = client.SetDeadline(time.Now().Add(10 * time.Second))
	t.Cleanup(func() {
		_ = client.Close()
		_ = server.Close()
	})
	return server, client
}

func write(t *testing.T, conn io.Writer, p []byte) {
	t.Helper()
	if n, err := conn.Write(p); n != len(p) || err != nil {
		t.Fatalf("%d of %d bytes were written: %v", n, len(p), err)
	}
}

func TestWhatIsSmallIsSentTogether(t *testing.T) {
	t.Parallel()
	server, client := guardedPipe(t, HTTP2Limits{})
	const pieces = 20
	for i := range pieces {
		write(t, server, []byte{byte(i)})
	}
	var all []byte
	buffer, reads := make([]byte, 1<<10), 0
	for ; len(all) < pieces; reads++ {
		n, err := client.Read(buffer)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, buffer[:n]...)
	}
	for i, b := range all {
		if int(b) != i {
			t.Fatalf("what arrived is not in order: %v", all)
		}
	}
	// The first may have been on its way when the others came.
	if reads > 2 {
		t.Errorf("%d pieces took %d writes", pieces, reads)
	}
}

func TestPiecesOfAllSizesArriveInOrder(t *testing.T) {
	t.Parallel()
	server, client := guardedPipe(t, HTTP2Limits{})
	var want []byte
	sizes := []int{1, batchSize - 1, 100, batchSize, batchSize + 1, 1, 5 * batchSize, 9, batchSize / 2, batchSize / 2, batchSize / 2}
	for i, size := range sizes {
		want = append(want, bytes.Repeat([]byte{byte(i)}, size)...)
	}
	got := make(chan []byte, 1)
	go func() {
		all := make([]byte, len(want))
		n, _ := io.ReadFull(client, all)
		got <- all[:n]
	}()
	rest := want
	for _, size := range sizes {
		write(t, server, rest[:size])
		rest = rest[size:]
	}
	if all := <-got; !bytes.Equal(all, want) {
		t.Errorf("%d bytes arrived of %d, or others", len(all), len(want))
	}
}

func TestAClientThatTakesNothingStopsTheServer(t *testing.T) {
	t.Parallel()
	server, client := guardedPipe(t, HTTP2Limits{})
	piece := make([]byte, 1<<10)
	const pieces = 100
	written := make(chan int, pieces)
	go func() {
		defer close(written)
		for i := range pieces {
			if _, err := server.Write(piece); err != nil {
				return
			}
			written <- i
		}
	}()
	buffer := make([]byte, batchSize)
	for total := 0; total < pieces*len(piece); {
		// What was taken and not read lies in a batch that waits and one that is under way, and one piece is on its way to them.
		if ahead := (len(written) + 1) * len(piece); ahead > total+2*batchSize+len(piece)+cap(buffer) {
			t.Fatalf("%d bytes were taken and %d read", ahead, total)
		}
		n, err := client.Read(buffer)
		if err != nil {
			t.Fatal(err)
		}
		total += n
	}
	for range written {
	}
}

func TestASilentClientLosesItsConnection(t *testing.T) {
	t.Parallel()
	server, _ := guardedPipe(t, HTTP2Limits{Silence: 10 * time.Millisecond})
	var err error
	for err == nil {
		_, err = server.Write(make([]byte, batchSize/2))
	}
	if !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Error("the write fails with", err)
	}
	if _, err := server.Read(make([]byte, 1)); err == nil {
		t.Error("the server can go on reading")
	}
}

func TestClosingSendsWhatWasWritten(t *testing.T) {
	t.Parallel()
	server, client := guardedPipe(t, HTTP2Limits{})
	write(t, server, []byte("the last words"))
	closed := make(chan error, 1)
	go func() { closed <- server.Close() }()
	all, err := io.ReadAll(client)
	if string(all) != "the last words" || err != nil {
		t.Errorf("%q arrived, %v", all, err)
	}
	if err := <-closed; err != nil {
		t.Error(err)
	}
	if _, err := server.Write([]byte("more")); !errors.Is(err, net.ErrClosed) {
		t.Error("a write after the end:", err)
	}
}

func TestClosingEndsAWriteThatWaits(t *testing.T) {
	t.Parallel()
	server, client := guardedPipe(t, HTTP2Limits{})
	_ = client
	ended := make(chan error, 1)
	go func() {
		var err error
		for err == nil {
			_, err = server.Write(make([]byte, batchSize/2))
		}
		ended <- err
	}()
	// The client has gone, as far as the server can tell.
	_ = server.SetReadDeadline(time.Unix(1, 0))
	if _, err := server.Read(make([]byte, 1)); err == nil {
		t.Fatal("there is something to read")
	}
	_ = server.Close()
	if err := <-ended; err == nil {
		t.Error("the write goes on")
	}
}
