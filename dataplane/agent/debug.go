package agent

import (
	"encoding/json"
	"fmt"

	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"

	"tidegate.dev/dataplane/snapshot"
	configv1 "tidegate.dev/proto/tidegate/config/v1"
)

// Configuration is what an agent serves, for people. It holds what is staged, and so no keys, certificates or secrets.
type Configuration struct {
	Status
	Stable    map[string]json.RawMessage `json:"stable"`
	Candidate map[string]json.RawMessage `json:"candidate,omitempty"`
}

// Configuration is the present one, its resources by "kind/name". It may be called from any goroutine.
func (a *Agent) Configuration() Configuration {
	serving := a.config.Installer.Serving()
	return Configuration{Status: a.Status(), Stable: resourcesOf(serving.Stable), Candidate: resourcesOf(serving.Candidate)}
}

func resourcesOf(s *snapshot.Snapshot) map[string]json.RawMessage {
	if s == nil {
		return nil
	}
	resources := make(map[string]json.RawMessage)
	for entry, body := range s.Content().All() {
		resources[entry.Key.String()] = specOf(entry.Kind, body)
	}
	return resources
}

// specOf shows a spec as the admin API does.
func specOf(kind configv1.Kind, body []byte) json.RawMessage {
	spec := configv1.NewSpec(kind)
	if spec == nil {
		return notShown(fmt.Errorf("kind %d is unknown", kind))
	}
	if err := proto.Unmarshal(body, spec); err != nil {
		return notShown(err)
	}
	text, err := protojson.MarshalOptions{UseProtoNames: true}.Marshal(spec)
	if err != nil {
		return notShown(err)
	}
	return text
}

func notShown(err error) json.RawMessage {
	text, _ := json.Marshal("not shown: " + err.Error()) // a string always has a JSON form
	return text
}
