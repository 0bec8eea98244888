package discovery

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
)

const (
	// watchTime is how long a watch is asked for, at least; up to half as long again by chance. watchGrace is what comes on top
	// before it counts as dead.
	watchTime  = 5 * time.Minute
	watchGrace = 15 * time.Second
	// listTime bounds a list.
	listTime = 30 * time.Second
	// watchPause is the least between two watches.
	watchPause = 100 * time.Millisecond
	// longestObject bounds what is read of one object; etcd bounds what can be stored to less.
	longestObject = 4 << 20
	mostSlices    = 1024
)

// kubernetesFollower lists the EndpointSlices of a service and watches them
// (https://kubernetes.io/docs/reference/using-api/api-concepts/#efficient-detection-of-changes).
type kubernetesFollower struct {
	config     KubernetesConfig
	kubeconfig string

	// What was listed and watched so far, and up to which version; empty to list.
	slices  map[string]endpointSlice
	version string
}

func newKubernetesFollower(c KubernetesConfig, e *Environment) *kubernetesFollower {
	c.Namespace = cmp.Or(c.Namespace, defaultNamespace)
	return &kubernetesFollower{config: c, kubeconfig: e.Kubeconfig}
}

func (f *kubernetesFollower) follow(ctx context.Context, r *report) error {
	server, err := connectKubernetes(f.kubeconfig)
	if err != nil {
		return err
	}
	for {
		if f.version == "" {
			if err := f.list(ctx, server); err != nil {
				return err
			}
			f.tell(r)
		}
		err := f.watch(ctx, server, r)
		var status *statusError
		if errors.As(err, &status) {
			f.version = ""
		}
		if err != nil && (status == nil || status.code != http.StatusGone) {
			return err
		}
		if !sleep(ctx, watchPause+rand.N(watchPause)) {
			return nil
		}
	}
}

// tell passes on what the slices say.
func (f *kubernetesFollower) tell(r *report) {
	targets, err := endpointTargets(f.slices, f.config.Port)
	if err != nil {
		r.failed(err)
		return
	}
	r.found(targets, nil)
}

func (f *kubernetesFollower) list(ctx context.Context, server *kubernetesServer) error {
	ctx, cancel := context.WithTimeout(ctx, listTime)
	defer cancel()
	body, err := server.get(ctx, f.config, url.Values{})
	if err != nil {
		return fmt.Errorf("listing endpoints: %w", err)
	}
	defer func() { _ = body.Close() }()
	var list struct {
		Metadata objectMeta      `json:"metadata"`
		Items    []endpointSlice `json:"items"`
	}
	if err := json.NewDecoder(boundBody(body, longestAnswer)).Decode(&list); err != nil {
		return fmt.Errorf("listing endpoints: reading the answer: %w", err)
	}
	if list.Metadata.ResourceVersion == "" || len(list.Items) > mostSlices {
		return fmt.Errorf("listing endpoints: the answer has the version %q and %d slices", list.Metadata.ResourceVersion, len(list.Items))
	}
	f.slices, f.version = map[string]endpointSlice{}, list.Metadata.ResourceVersion
	for _, s := range list.Items {
		f.slices[s.Metadata.Name] = s
	}
	return nil
}

// watch follows changes until the server ends the watch, which it does from time to time.
func (f *kubernetesFollower) watch(ctx context.Context, server *kubernetesServer, r *report) error {
	long := watchTime + rand.N(watchTime/2)
	ctx, cancel := context.WithTimeout(ctx, long+watchGrace)
	defer cancel()
	// Events may be long in coming, but not the answer's head.
	silent := time.AfterFunc(listTime, cancel)
	body, err := server.get(ctx, f.config, url.Values{
		"watch": {"1"}, "allowWatchBookmarks": {"true"}, "resourceVersion": {f.version},
		"timeoutSeconds": {strconv.Itoa(int(long.Seconds()))},
	})
	silent.Stop()
	if err != nil {
		return fmt.Errorf("watching endpoints: %w", err)
	}
	defer func() { _ = body.Close() }()
	f.tell(r) // it answers, so what is known holds
	events := &objectReader{reader: body}
	decoder := json.NewDecoder(events)
	for {
		events.left = longestObject
		var event watchEvent
		switch err := decoder.Decode(&event); {
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return fmt.Errorf("watching endpoints: %w", err)
		}
		changed, err := f.apply(&event)
		if err != nil {
			return fmt.Errorf("watching endpoints: %w", err)
		}
		if changed {
			f.tell(r)
		}
	}
}

type watchEvent struct {
	Type   string          `json:"type"`
	Object json.RawMessage `json:"object"`
}

// apply takes over an event, and tells whether it changed a slice.
func (f *kubernetesFollower) apply(event *watchEvent) (changed bool, err error) {
	if event.Type == "ERROR" {
		var status struct {
			Code    int    `json:"code"`
			Message string `json:"message"`
		}
		if err := json.Unmarshal(event.Object, &status); err != nil {
			return false, fmt.Errorf("reading an error: %w", err)
		}
		return false, &statusError{status.Code, status.Message}
	}
	var s endpointSlice
	if err := json.Unmarshal(event.Object, &s); err != nil {
		return false, &statusError{0, "reading an event: " + err.Error()}
	}
	if s.Metadata.ResourceVersion != "" {
		f.version = s.Metadata.ResourceVersion
	}
	switch event.Type {
	case "ADDED", "MODIFIED":
		f.slices[s.Metadata.Name] = s
		if len(f.slices) > mostSlices {
			return false, &statusError{0, "there are too many slices"}
		}
		return true, nil
	case "DELETED":
		delete(f.slices, s.Metadata.Name)
		return true, nil
	}
	return false, nil // a bookmark, or what we do not know
}

// statusError is an answer that is no success. What was known of versions is then void.
type statusError struct {
	code    int
	message string
}

func (e *statusError) Error() string {
	return fmt.Sprintf("the answer is %d %.300q", e.code, e.message)
}

// kubernetesServer is an API server.
type kubernetesServer struct {
	client *http.Client
	base   *url.URL
}

// connectKubernetes finds the API server: by the kubeconfig or, without one, as pods do.
func connectKubernetes(kubeconfig string) (*kubernetesServer, error) {
	config, err := kubernetesConfig(kubeconfig)
	if err != nil {
		return nil, err
	}
	config.UserAgent = "tidegate-agent"
	client, err := rest.HTTPClientFor(config)
	if err != nil {
		return nil, fmt.Errorf("preparing connections to Kubernetes: %w", err)
	}
	base, _, err := rest.DefaultServerUrlFor(config)
	if err != nil {
		return nil, fmt.Errorf("reading the address of Kubernetes: %w", err)
	}
	return &kubernetesServer{client, base}, nil
}

func kubernetesConfig(kubeconfig string) (*rest.Config, error) {
	if kubeconfig == "" {
		config, err := rest.InClusterConfig()
		if errors.Is(err, rest.ErrNotInCluster) {
			return nil, errors.New("this agent runs in no pod, and was started without --kubeconfig")
		}
		return config, err
	}
	config, err := clientcmd.BuildConfigFromFlags("", kubeconfig)
	if err != nil {
		return nil, fmt.Errorf("reading --kubeconfig: %w", err)
	}
	return config, nil
}

// get asks for the slices of a service.
func (s *kubernetesServer) get(ctx context.Context, c KubernetesConfig, query url.Values) (io.ReadCloser, error) {
	query.Set("labelSelector", "kubernetes.io/service-name="+c.Service)
	at := s.base.JoinPath("apis/discovery.k8s.io/v1/namespaces", c.Namespace, "endpointslices")
	at.RawQuery = query.Encode()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, at.String(), nil)
	if err != nil {
		return nil, fmt.Errorf("making the request: %w", err)
	}
	request.Header.Set("Accept", "application/json")
	response, err := s.client.Do(request)
	if err != nil {
		return nil, err
	}
	if response.StatusCode == http.StatusOK {
		return response.Body, nil
	}
	defer func() { _ = response.Body.Close() }()
	var status struct {
		Message string `json:"message"`
	}
	// What is no status of Kubernetes says enough by its number.
	_ = json.NewDecoder(io.LimitReader(response.Body, 64<<10)).Decode(&status)
	return nil, &statusError{response.StatusCode, status.Message}
}

// objectReader fails when more is read than is left for the object that is being read.
type objectReader struct {
	reader io.Reader
	left   int
}

// Read is [io.Reader]'s.
func (r *objectReader) Read(p []byte) (int, error) {
	if r.left <= 0 {
		return 0, errors.New("an object is too long")
	}
	n, err := r.reader.Read(p[:min(len(p), r.left)])
	r.left -= n
	return n, err
}
