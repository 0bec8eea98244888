package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"time"

	"tidegate.dev/dataplane/agent"
)

// localName is the socket in the state folder by which an operator on this machine steers the agent when there is no control
// plane: GET /status, POST /pin, /unpin, /rollback, /upgrade. Who may open it is decided by its mode, 0600.
const localName = "local.sock"

// localStatus is what an operator sees. The version is not known of a successor.
type localStatus struct {
	agent.Status
	PID     int    `json:"pid"`
	Version string `json:"version,omitempty"`
}

// listenLocal opens the socket. The folder is locked, so one that is there was left by a process that died.
func listenLocal(ctx context.Context, stateDir string) (net.Listener, error) {
	path := filepath.Join(stateDir, localName)
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("removing the old local socket: %w", err)
	}
	listener, err := new(net.ListenConfig).Listen(ctx, "unix", path)
	if err != nil {
		return nil, fmt.Errorf("opening the local socket: %w", err)
	}
	// Its successor has a socket of its own at this path by the time that this process closes its.
	listener.(*net.UnixListener).SetUnlinkOnClose(false)
	if err := os.Chmod(path, 0o600); err != nil {
		return nil, errors.Join(fmt.Errorf("opening the local socket: %w", err), listener.Close())
	}
	return listener, nil
}

func (p *parts) localHandler() http.Handler {
	client, log := p.agent, p.log
	mux := http.NewServeMux()
	status := func(w http.ResponseWriter) {
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(localStatus{client.Status(), os.Getpid(), version}) // the client is gone: nobody is left to tell
	}
	mux.HandleFunc("POST /upgrade", func(w http.ResponseWriter, r *http.Request) {
		program := r.URL.Query().Get("program")
		by := operatorOf(r.Context())
		log.Warn("local command", "command", "upgrade", "program", program, "by", by.String())
		if err := client.NoteUpgrade(r.Context(), by); err != nil {
			answer(w, http.StatusConflict, err.Error())
			return
		}
		_ = http.NewResponseController(w).SetWriteDeadline(time.Time{}) // a successor takes its time
		pid, err := p.upgrade(r.Context(), program)
		if err != nil {
			answer(w, http.StatusConflict, err.Error())
			return
		}
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(localStatus{Status: client.Status(), PID: pid})
	})
	mux.HandleFunc("GET /status", func(w http.ResponseWriter, _ *http.Request) { status(w) })
	for name, command := range map[string]func(context.Context, agent.Operator) error{
		"pin": client.Pin, "unpin": client.Unpin, "rollback": client.RollBack,
	} {
		mux.HandleFunc("POST /"+name, func(w http.ResponseWriter, r *http.Request) {
			by := operatorOf(r.Context())
			log.Warn("local command", "command", name, "by", by.String())
			if err := command(r.Context(), by); err != nil {
				answer(w, http.StatusConflict, err.Error())
				return
			}
			status(w)
		})
	}
	return mux
}
