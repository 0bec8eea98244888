package config

import (
	"context"
	"fmt"
	"strings"
	"time"

	"google.golang.org/protobuf/proto"

	"tidegate.dev/controlplane/keyring"
	"tidegate.dev/controlplane/store"
	"tidegate.dev/proto/revision"
	configv1 "tidegate.dev/proto/tidegate/config/v1"
)

// Resource is one resource of any kind but a key.
type Resource struct {
	Kind   configv1.Kind
	Name   string
	Labels map[string]string
	// Spec is the message of the kind: *configv1.Route, … Private parts (a private key, a secret's value) are never in what
	// this package returns.
	Spec proto.Message

	// What follows is output only.

	// ETag changes with every change.
	ETag string
	// Revision is the revision that brought it, of a staged kind.
	Revision int64
	// Sequence is the change of the fast lane that brought it, of a fast kind.
	Sequence  int64
	UpdatedAt time.Time
	// State is one of the State constants.
	State string
	// NotAfter is when a certificate's leaf stops being valid.
	NotAfter time.Time
	// Issuance is how obtaining a certificate by ACME stands; nil of every other.
	Issuance *store.ACMECertificate
}

// States of a resource.
const (
	// StateServing: agents serve it.
	StateServing = "serving"
	// StateRollingOut: a rollout is bringing it to agents.
	StateRollingOut = "rolling_out"
	// StateRejected: its rollout failed.
	StateRejected = "rejected"
	// StatePending: it waits for a rollout; of a consumer: its plan is not served yet.
	StatePending = "pending"
)

// Key names the resource.
func (r Resource) Key() revision.Key { return revision.Key{Kind: r.Kind, Name: r.Name} }

func stagedETag(from int64) string   { return fmt.Sprintf(`"r%d"`, from) }
func laneETag(sequence int64) string { return fmt.Sprintf(`"s%d"`, sequence) }
func changeSetETag(set int64) string { return fmt.Sprintf(`"v%d"`, set) }
func sealable(kind configv1.Kind) bool {
	return kind == configv1.Kind_KIND_CERTIFICATE || kind == configv1.Kind_KIND_SECRET || kind == configv1.Kind_KIND_ISSUED_CERTIFICATE
}

// checkMatch enforces If-Match (RFC 9110, section 13.1.1): ifMatch is empty, "*" or a list of entity tags, present is the
// present one, empty if there is none. Weak tags never match.
func checkMatch(resource, ifMatch, present string) error {
	if ifMatch == "" {
		return nil
	}
	for tag := range strings.SplitSeq(ifMatch, ",") {
		tag = strings.TrimSpace(tag)
		if present != "" && (tag == "*" || tag == present || `"`+tag+`"` == present) {
			return nil
		}
	}
	return &Precondition{Resource: resource, ETag: present}
}

// decode reads a stored body; sealed ones are opened.
func (s *Service) decode(fleetID int64, key revision.Key, body []byte) (proto.Message, error) {
	if sealable(key.Kind) {
		opened, err := s.keys.Unseal(body, keyring.ResourceContext(fleetID, key.Kind, key.Name))
		if err != nil {
			return nil, fmt.Errorf("opening %s: %w", key, err)
		}
		body = opened
	}
	spec := configv1.NewSpec(key.Kind)
	if spec == nil {
		return nil, fmt.Errorf("decoding %s: no such kind", key)
	}
	if err := proto.Unmarshal(body, spec); err != nil {
		return nil, fmt.Errorf("decoding %s: %w", key, err)
	}
	return spec, nil
}

// seal is the body of a resource as it is stored: that of certificates and secrets is encrypted.
func (s *Service) seal(fleetID int64, key revision.Key, body []byte) ([]byte, error) {
	if !sealable(key.Kind) {
		return body, nil
	}
	sealed, err := s.keys.Seal(body, keyring.ResourceContext(fleetID, key.Kind, key.Name))
	if err != nil {
		return nil, fmt.Errorf("sealing %s: %w", key, err)
	}
	return sealed, nil
}

// redacted is a spec without its private parts.
func redacted(spec proto.Message) proto.Message {
	switch s := spec.(type) {
	case *configv1.Certificate:
		public := proto.CloneOf(s)
		public.PrivateKeyPem = ""
		return public
	case *configv1.Secret:
		return new(configv1.Secret)
	}
	return spec
}

// standing says how far head's resources have come.
type standing struct {
	head      store.Head
	candidate int64
	// states are those of the revisions that brought the resources in question.
	states map[int64]string
}

func (s *Service) standing(ctx context.Context, tx *store.Tx, head store.Head, brought []int64) (standing, error) {
	st := standing{head: head}
	var unproved []int64
	for _, number := range brought {
		if number > head.Stable {
			unproved = append(unproved, number)
		}
	}
	if len(unproved) == 0 {
		return st, nil
	}
	var err error
	if st.candidate, err = tx.CandidateRevision(ctx, head.FleetID); err != nil {
		return standing{}, err
	}
	st.states, err = tx.RevisionStates(ctx, head.FleetID, unproved)
	return st, err
}

// of is the state of a resource at head that a revision brought. A revision that was superseded while it waited is carried by
// a later one.
func (st standing) of(from int64) string {
	switch {
	case from <= st.head.Stable, st.states[from] == store.RevisionServing:
		return StateServing
	case st.states[from] == store.RevisionRejected:
		return StateRejected
	case from <= st.candidate:
		return StateRollingOut
	}
	return StatePending
}

func (s *Service) stagedResource(version store.Version, state string) (Resource, error) {
	spec, err := s.decode(0, version.Key, version.Body)
	if err != nil {
		return Resource{}, err
	}
	return Resource{
		Kind: version.Kind, Name: version.Name, Labels: version.Labels, Spec: spec,
		ETag: stagedETag(version.From), Revision: version.From, UpdatedAt: version.CreatedAt, State: state,
	}, nil
}

func (s *Service) laneResource(fleetID int64, version store.LaneVersion, state string) (Resource, error) {
	spec, err := s.decode(fleetID, version.Key, version.Body)
	if err != nil {
		return Resource{}, err
	}
	resource := Resource{
		Kind: version.Kind, Name: version.Name, Labels: version.Labels, Spec: redacted(spec),
		ETag: laneETag(version.Sequence), Sequence: version.Sequence, UpdatedAt: version.CreatedAt, State: state,
	}
	if certificate, ok := spec.(*configv1.Certificate); ok {
		if leaf, err := leafOf(certificate); err == nil {
			resource.NotAfter = leaf.NotAfter
		}
	}
	return resource, nil
}
