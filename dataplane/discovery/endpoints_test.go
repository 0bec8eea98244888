package discovery

import (
	"encoding/json"
	"net"
	"testing"

	"github.com/hashicorp/consul/api"
)

// FuzzEndpoints makes targets of whatever an API server may send.
func FuzzEndpoints(f *testing.F) {
	f.Add([]byte(`{"type": "ADDED", "object": {"metadata": {"name": "a", "resourceVersion": "1"}, "addressType": "IPv4",
		"ports": [{"name": "http", "port": 80}], "endpoints": [{"addresses": ["10.0.0.1"], "conditions": {"ready": true}, "zone": "a"}]}}`), "http")
	f.Add([]byte(`{"type": "MODIFIED", "object": {"addressType": "IPv6", "endpoints": [{"addresses": []}, {"addresses": ["fe80::1%eth0"]}]}}`), "80")
	f.Add([]byte(`{"type": "ERROR", "object": {"code": 410}}`), "")
	f.Add([]byte(`{"type": "BOOKMARK", "object": null}`), "")
	f.Fuzz(func(t *testing.T, encoded []byte, port string) {
		var event watchEvent
		if json.Unmarshal(encoded, &event) != nil {
			return
		}
		follower := kubernetesFollower{slices: map[string]endpointSlice{}}
		if _, err := follower.apply(&event); err != nil {
			return
		}
		targets, err := endpointTargets(follower.slices, port)
		if err != nil && len(targets) > 0 {
			t.Errorf("found %v, but %v", targets, err)
		}
		checkAddresses(t, targets)
	})
}

// FuzzInstances makes targets of whatever a Consul agent may send.
func FuzzInstances(f *testing.F) {
	f.Add([]byte(`[{"Node": {"Address": "10.0.0.1", "Meta": {"zone": "a"}}, "Service": {"Address": "", "Port": 80, "Weights": {"Passing": 3}}}]`))
	f.Add([]byte(`[null, {}, {"Service": null}, {"Service": {"Address": "a.example", "Port": -1, "Weights": {"Passing": 99999999}}}]`))
	f.Fuzz(func(t *testing.T, encoded []byte) {
		var entries []*api.ServiceEntry
		if json.Unmarshal(encoded, &entries) != nil {
			return
		}
		follower := consulFollower{config: ConsulConfig{ZoneKey: defaultZoneKey}}
		checkAddresses(t, follower.targets(entries))
	})
}

func checkAddresses(t *testing.T, targets []Target) {
	t.Helper()
	arranged, _ := arrange(targets)
	for _, target := range arranged {
		host, port, err := net.SplitHostPort(target.Address)
		if err != nil || host == "" || port == "" || port == "0" || target.Weight < 1 || target.Weight > MaxWeight {
			t.Errorf("found %+v, %v", target, err)
		}
	}
}
