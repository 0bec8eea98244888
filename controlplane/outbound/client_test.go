package outbound_test

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"tidegate.dev/controlplane/outbound"
)

func TestWhatIsRefusedIsNotAsked(t *testing.T) {
	t.Parallel()
	client := outbound.NewClient(5 * time.Second)
	for _, url := range []string{
		"http://169.254.169.254/latest/meta-data", "http://[fe80::1]/", "http://[::]/", "http://0.0.0.0/", "http://[::ffff:169.254.169.254]/",
		"http://100.100.100.200/", "http://[fd00:ec2::254]/", "http://224.0.0.1/",
	} {
		response, err := client.Get(url)
		if response != nil {
			_ = response.Body.Close()
		}
		if !errors.Is(err, outbound.ErrRefused) {
			t.Errorf("%s: %v", url, err)
		}
	}
}

func TestRedirectsAreNotFollowed(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(http.RedirectHandler("http://169.254.169.254/", http.StatusFound))
	t.Cleanup(server.Close)
	response, err := outbound.NewClient(5 * time.Second).Get(server.URL)
	if err != nil {
		t.Fatal(err)
	}
	_ = response.Body.Close()
	if response.StatusCode != http.StatusFound {
		t.Errorf("answered %d", response.StatusCode)
	}
}

func TestPrivateAddressesAreAsked(t *testing.T) {
	t.Parallel()
	control := outbound.Dialer(time.Second).Control
	for _, address := range []string{"127.0.0.1:14000", "10.0.0.1:443", "[2001:db8::1]:443"} {
		if err := control("tcp", address, nil); err != nil {
			t.Errorf("%s: %v", address, err)
		}
	}
}
