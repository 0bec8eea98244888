package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	adminv1 "tidegate.dev/proto/tidegate/admin/v1"
)

// exampleRequest is what is sent once GitHub's API is published.
const exampleRequest = "/repos/octocat/hello-world/contents/docs/guide.md"

func runGitHub(ctx context.Context, arguments []string) error {
	flags := newFlags("github", "Publishes GitHub's REST API, over a thousand routes, to a running stack in one change set, and sends a request. A demo\nupstream stands in for GitHub.")
	description := flags.String("description", "", "GitHub's OpenAPI description (default: the one that make demo-github fetches, from the npm package @octokit/openapi)")
	strategy := flags.String("strategy", "", "how it reaches traffic (default: the fleet's strategy)")
	if err := parse(flags, arguments); err != nil {
		return err
	}
	if *description == "" {
		root, err := clone()
		if err != nil {
			return err
		}
		*description = filepath.Join(root, ".tools", "github", "api.github.com.json")
	}
	if _, err := os.Stat(*description); err != nil {
		return fmt.Errorf("GitHub's description is not there (%w); make demo-github fetches it", err)
	}
	s, stop, err := findStack(ctx)
	if err != nil {
		return err
	}
	defer stop()
	if err := publishGitHub(ctx, s, *description, *strategy); err != nil {
		return err
	}
	return showGitHub(ctx, s)
}

// publishGitHub does what a person would do: import the description into a file, and apply that.
func publishGitHub(ctx context.Context, s *stack, description, strategy string) error {
	program, err := tidegate()
	if err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "tidegate-github-*")
	if err != nil {
		return fmt.Errorf("making a folder for the file: %w", err)
	}
	defer func() { _ = os.RemoveAll(dir) }() // a file without secrets in a temporary folder
	file := filepath.Join(dir, "github.yaml")
	apply := []string{"apply", "-f", file, "--message", "GitHub's API", "--context", s.ContextFile}
	if strategy != "" {
		apply = append(apply, "--strategy", strategy)
	}
	for _, arguments := range [][]string{
		{"import", "openapi", description, "--service", "github", "--url", s.Demo.Upstreams[0], "--out", file},
		apply,
	} {
		fmt.Printf("$ tidegate %s %s …\n", arguments[0], arguments[1])
		command := exec.CommandContext(ctx, program, arguments...)
		command.Stdout, command.Stderr = os.Stdout, os.Stderr
		command.Cancel = func() error { return command.Process.Signal(os.Interrupt) }
		command.WaitDelay = 5 * time.Second
		if err := command.Run(); err != nil {
			return fmt.Errorf("tidegate %s: %w", arguments[0], err)
		}
	}
	return nil
}

// showGitHub sends a request through each agent, and asks which route it takes.
func showGitHub(ctx context.Context, s *stack) error {
	a, err := newAPI(s.Admin, s.TokenFile)
	if err != nil {
		return err
	}
	var routes int
	for token := ""; ; {
		var page adminv1.ListRoutesResponse
		if err := a.get(ctx, "/routes?page_size=1000&page_token="+token, &page); err != nil {
			return err
		}
		routes += len(page.GetRoutes())
		if token = page.GetNextPageToken(); token == "" {
			break
		}
	}
	var explained adminv1.ExplainResponse
	if err := a.post(ctx, ":explain", &adminv1.ExplainRequest{Fleet: "default", Method: http.MethodGet, Url: exampleRequest}, &explained); err != nil {
		return err
	}
	fmt.Printf("\nthe fleet has %d routes; GET %s takes %s, by %s\n", routes, exampleRequest, explained.GetRoute(), explained.GetPattern())
	for _, proxy := range s.proxies() {
		fmt.Printf("\n$ curl %s%s\n", proxy, exampleRequest)
		if err := show(ctx, proxy+exampleRequest); err != nil {
			return err
		}
	}
	return nil
}

func show(ctx context.Context, url string) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, http.NoBody)
	if err != nil {
		return fmt.Errorf("making the request: %w", err)
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return fmt.Errorf("sending the request: %w", err)
	}
	content, err := io.ReadAll(io.LimitReader(response.Body, 400))
	if err = errors.Join(err, response.Body.Close()); err != nil {
		return fmt.Errorf("reading the answer: %w", err)
	}
	fmt.Printf("%s from %s\n%s …\n", response.Status, response.Header.Get("X-Upstream"), content)
	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("%s answers %s", url, response.Status)
	}
	return nil
}
