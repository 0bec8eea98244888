package client

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"

	"google.golang.org/protobuf/proto"
)

// maxLine bounds one object of a stream, in bytes.
const maxLine = 16 << 20

// Watch reads a stream of objects and hands each to see, until see says that it has seen enough or the stream ends. A broken
// stream is begun again, with pauses up to two seconds, for as long as the context lives: the state that the server sends
// first makes up for what was missed. lost is told of each break; it may be nil. What the server refuses is a *Problem.
func (c *Client) Watch(ctx context.Context, path string, message proto.Message, see func() (enough bool), lost func(error)) error {
	pause := c.config.FirstPause
	for {
		began := time.Now()
		enough, err := c.stream(ctx, path, message, see)
		switch {
		case enough:
			return nil
		case ctx.Err() != nil:
			return context.Cause(ctx)
		case err != nil && !again(err):
			return err
		}
		if time.Since(began) > 5*time.Second {
			pause = c.config.FirstPause
		}
		if err != nil && lost != nil {
			lost(err)
		}
		timer := time.NewTimer(pause)
		select {
		case <-ctx.Done():
			timer.Stop()
			return context.Cause(ctx)
		case <-timer.C:
		}
		pause = min(2*pause, 2*time.Second)
	}
}

func (c *Client) stream(ctx context.Context, path string, message proto.Message, see func() bool) (enough bool, err error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	response, err := c.send(ctx, Call{Method: http.MethodGet, Path: path}, "", nil)
	if err != nil {
		return false, err
	}
	defer response.Body.Close() //nolint:errcheck // only read from
	if response.StatusCode/100 != 2 {
		content, err := io.ReadAll(io.LimitReader(response.Body, 1<<20))
		if err != nil {
			return false, &Unreachable{Server: c.Server(), Err: err}
		}
		return false, problemOf(response, content)
	}
	lines := bufio.NewScanner(response.Body)
	lines.Buffer(nil, maxLine)
	for lines.Scan() {
		if err := c.line(lines.Bytes(), message); err != nil {
			return false, err
		}
		if see() {
			return true, nil
		}
	}
	if err := lines.Err(); err != nil {
		return false, &Unreachable{Server: c.Server(), Err: err}
	}
	return false, nil // the server ended it: it restarts
}

// line reads one object of a stream: {"result": …} or {"error": …}.
func (c *Client) line(content []byte, message proto.Message) error {
	var object struct {
		Result json.RawMessage `json:"result"`
		Error  *Problem        `json:"error"`
	}
	if err := json.Unmarshal(content, &object); err != nil {
		return fmt.Errorf("reading the stream of %s: %w", c.Server(), err)
	}
	switch {
	case object.Error != nil:
		return object.Error
	case object.Result == nil:
		return errors.New("reading the stream: a line holds neither a result nor an error")
	}
	if err := decode(object.Result, message); err != nil {
		return fmt.Errorf("reading the stream: %w", err)
	}
	return nil
}
