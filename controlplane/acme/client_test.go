package acme

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	configv1 "tidegate.dev/proto/tidegate/config/v1"
)

// What is no authority tells nothing about itself to those who may choose directories.
func TestWhatIsNoAuthorityIsNotQuoted(t *testing.T) {
	t.Parallel()
	server := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusForbidden)
		_, _ = fmt.Fprint(w, "an inner secret")
	}))
	defer server.Close()
	a := &attempt{Manager: NewManager(Config{}), spec: &configv1.Certificate{
		ServerNames: []string{"a.example"}, Acme: &configv1.Acme{Directory: server.URL + "/inner"},
	}}
	client, done, err := a.client()
	if err != nil {
		t.Fatal(err)
	}
	defer done()
	client.HTTPClient.Transport.(*transport).base.TLSClientConfig.RootCAs = server.Client().Transport.(*http.Transport).TLSClientConfig.RootCAs
	_, err = client.GetDirectory(t.Context())
	if err == nil || strings.Contains(explain(err, a.spec), "secret") || !strings.Contains(err.Error(), "403") {
		t.Errorf("%v", err)
	}
}
