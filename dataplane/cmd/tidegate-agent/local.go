package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"

	"tidegate.dev/dataplane/agent"
)

// localName is the socket in the state folder by which an operator on this machine steers the agent when there is no control
// plane: GET /status, POST /pin, /unpin, /rollback. Who may open it is decided by its mode, 0600.
const localName = "local.sock"

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
	if err := os.Chmod(path, 0o600); err != nil {
		return nil, errors.Join(fmt.Errorf("opening the local socket: %w", err), listener.Close())
	}
	return listener, nil
}

func localHandler(client *agent.Agent, log *slog.Logger) http.Handler {
	mux := http.NewServeMux()
	status := func(w http.ResponseWriter) {
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(client.Status()) // the client is gone: nobody is left to tell
	}
	mux.HandleFunc("GET /status", func(w http.ResponseWriter, _ *http.Request) { status(w) })
	for name, command := range map[string]func(context.Context) error{
		"pin": client.Pin, "unpin": client.Unpin, "rollback": client.RollBack,
	} {
		mux.HandleFunc("POST /"+name, func(w http.ResponseWriter, r *http.Request) {
			log.Warn("local command", "command", name)
			if err := command(r.Context()); err != nil {
				answer(w, http.StatusConflict, err.Error())
				return
			}
			status(w)
		})
	}
	return mux
}
