package cli

import (
	"errors"
	"fmt"
	"io/fs"
	"strings"

	"tidegate.dev/controlplane/cli/client"
	"tidegate.dev/controlplane/cli/login"
)

// defaultServer is where `tidegate up` and a control plane without settings listen.
const defaultServer = "http://127.0.0.1:9080"

// client makes a client of the admin API from flags, environment and context, in this order.
func (a *app) client() (*client.Client, error) {
	saved, err := a.savedContext()
	if err != nil {
		return nil, err
	}
	server := first(a.server, a.env("TIDEGATE_SERVER"), saved.Server, defaultServer)
	token, err := a.token(server, saved)
	if err != nil {
		return nil, err
	}
	return client.New(client.Config{Server: server, Token: token, UserAgent: "tidegate/" + a.version})
}

// token finds the admin token. The one of a context goes to the server of that context alone.
func (a *app) token(server string, saved login.Context) (string, error) {
	if file := first(a.tokenFile, a.env("TIDEGATE_TOKEN_FILE")); file != "" {
		return login.ReadToken(file)
	}
	if token := a.env("TIDEGATE_TOKEN"); token != "" {
		return strings.TrimSpace(token), nil
	}
	if !saved.For(server) {
		return "", fmt.Errorf("no token for %s: run 'tidegate login --server %s', or set TIDEGATE_TOKEN or --token-file", server, server)
	}
	return saved.ReadToken()
}

func (a *app) contextFile() (string, error) {
	if file := first(a.context, a.env("TIDEGATE_CONTEXT")); file != "" {
		return file, nil
	}
	return login.DefaultFile(a.env)
}

// savedContext is the context that was written; an empty one if there is none.
func (a *app) savedContext() (login.Context, error) {
	file, err := a.contextFile()
	if err != nil {
		return login.Context{}, err
	}
	saved, err := login.Read(file)
	if errors.Is(err, fs.ErrNotExist) {
		if named := first(a.context, a.env("TIDEGATE_CONTEXT")); named != "" {
			return login.Context{}, fmt.Errorf("there is no context file %s", named)
		}
		return login.Context{}, nil
	}
	return saved, err
}

// fleetName is the fleet to work on; inFile is what a file says.
func (a *app) fleetName(inFile string) (string, error) {
	named := first(a.fleet, a.env("TIDEGATE_FLEET"))
	if named != "" && inFile != "" && named != inFile {
		return "", fmt.Errorf("the file says fleet %q, but --fleet or TIDEGATE_FLEET says %q", inFile, named)
	}
	if named == "" && inFile == "" {
		saved, err := a.savedContext()
		if err != nil {
			return "", err
		}
		named = saved.Fleet
	}
	return first(named, inFile, "default"), nil
}

// connect is what most commands begin with: a client, and the fleet's name.
func (a *app) connect() (*client.Client, string, error) {
	c, err := a.client()
	if err != nil {
		return nil, "", err
	}
	fleet, err := a.fleetName("")
	return c, fleet, err
}

func first(values ...string) string {
	for _, value := range values {
		if value != "" {
			return value
		}
	}
	return ""
}
