package main

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"net/netip"
	"net/url"
	"os"
	"strings"
	"time"

	"github.com/alecthomas/kong"
)

// flags configure the agent. Each is also a variable TIDEGATE_<NAME> and a name in the file of --config.
type flags struct {
	Config kong.ConfigFlag `help:"YAML file with flags: \"proxy-address: 0.0.0.0:8080\"." type:"path"`

	ControlPlane  string            `default:"127.0.0.1:9081" help:"The control plane's address for agents, or those of its replicas separated by commas (${default})." placeholder:"HOST:PORT,..."`
	StateDir      string            `default:"tidegate-agent" type:"path" help:"Where identity and configuration are kept; of one agent alone (${default})." placeholder:"DIR"`
	JoinTokenFile string            `type:"path" help:"File with the token that lets the agent join a fleet, once." placeholder:"FILE"`
	Name          string            `help:"The agent's name for people, unique in its fleet. Default: the host's name." placeholder:"NAME"`
	Labels        map[string]string `mapsep:"," help:"Labels for selectors: \"zone=a,tier=edge\"." placeholder:"KEY=VALUE"`

	ProxyAddress         string         `default:"127.0.0.1:8080" help:"Clients, HTTP/1.1 and h2c (${default})." placeholder:"HOST:PORT"`
	TLSAddress           string         `name:"tls-address" default:"127.0.0.1:8443" help:"Clients, HTTP/1.1 and h2 over TLS (${default})." placeholder:"HOST:PORT"`
	OpsAddress           string         `default:"127.0.0.1:9180" help:"/metrics, /healthz, /readyz, /debug/config, /debug/upstreams, /debug/discovery (${default})." placeholder:"HOST:PORT"`
	TrustedProxies       []netip.Prefix `help:"Peers whose forwarding headers are believed: \"10.0.0.0/8\"." placeholder:"CIDR"`
	ProxyProtocol        string         `enum:"off,trusted,required" default:"off" help:"Header of the PROXY protocol at --proxy-address: off, trusted (from --trusted-proxies, others have none) or required." placeholder:"MODE"`
	TLSProxyProtocol     string         `name:"tls-proxy-protocol" enum:"off,trusted,required" default:"off" help:"The same at --tls-address." placeholder:"MODE"`
	MaxConnections       int            `default:"20000" help:"Clients' connections at most (${default})." placeholder:"N"`
	MaxClientConnections int            `help:"Connections of one client at most: an address, or a /64 of IPv6. Default: half of --max-connections." placeholder:"N"`
	MaxExchanges         int            `default:"0" help:"Requests that are served at once at most, until their responses stream; the least important are refused first. Default: what an eighth of the memory limit has room for (32 KiB each); without a limit 10,000 for each processor. -1 is any number." placeholder:"N"`
	MemoryLimit          memorySize     `default:"0" help:"Memory the agent may take, as \"2GiB\"; when it is short, requests and connections are refused. Default: GOMEMLIMIT, else 90 % of the control group's." placeholder:"SIZE"`
	MaxHandshakes        int            `default:"2000" help:"TLS handshakes at a time (${default}); four times as many may wait." placeholder:"N"`

	RefuseUpstreams []netip.Prefix `help:"Addresses that are no upstreams, beside link-local and metadata addresses." placeholder:"CIDR"`
	AllowUpstreams  []netip.Prefix `help:"Exceptions from the addresses that are no upstreams." placeholder:"CIDR"`

	Zone          string `help:"Where the agent runs, as the targets of services name their zones. Default: the label zone." placeholder:"ZONE"`
	DiscoveryDir  string `type:"path" help:"Folder with the files that services find their targets in. Default: none are read." placeholder:"DIR"`
	ConsulAddress string `help:"The Consul agent that services find their targets with. Default: http://127.0.0.1:8500." placeholder:"URL"`
	Kubeconfig    string `type:"path" help:"How to reach Kubernetes, outside of a cluster." placeholder:"FILE"`

	AccessLog       string        `default:"" help:"File for a line of JSON each request; \"-\" is standard output, empty none." placeholder:"FILE"`
	AccessLogSample float64       `default:"1" help:"Share of requests that went well in the access log, 0 to 1; all others always are (${default})." placeholder:"SHARE"`
	LogLevel        string        `enum:"debug,info,warn,error" default:"info" help:"debug, info, warn or error."`
	DrainTimeout    time.Duration `default:"30s" help:"How long requests may take to end after a signal."`
	UpgradeTimeout  time.Duration `default:"60s" help:"How long a successor may take to serve, before this process goes on alone."`
	DeadMan         time.Duration `default:"60s" help:"How long a candidate is served without a control plane."`
}

const description = `Tidegate's data plane. Every flag can be given as TIDEGATE_<FLAG> (TIDEGATE_PROXY_ADDRESS) or in the file of --config.
"tidegate-agent version" prints the version. SIGHUP starts a successor, from the same path, which takes over without a lost request.

  tidegate-agent --control-plane gateway.example:9081 --join-token-file join.token --state-dir /var/lib/tidegate-agent`

// dispatch reads the command line and does what it says.
func dispatch(ctx context.Context, arguments []string) error {
	if len(arguments) == 1 && arguments[0] == "version" {
		_, err := fmt.Println(describeVersion())
		return err
	}
	var given flags
	parser, err := kong.New(&given, kong.Name("tidegate-agent"), kong.Description(description),
		kong.DefaultEnvars("TIDEGATE"), kong.Configuration(readConfig), kong.UsageOnError())
	if err != nil {
		return fmt.Errorf("describing the flags: %w", err)
	}
	if _, err := parser.Parse(arguments); err != nil {
		return err
	}
	if err := given.complete(); err != nil {
		return err
	}
	return serve(ctx, &given, given.logger())
}

// complete fills in what depends on the machine.
func (f *flags) complete() error {
	if f.Name == "" {
		host, err := os.Hostname()
		if err != nil {
			return fmt.Errorf("asking for the host's name (--name NAME needs none): %w", err)
		}
		f.Name = strings.ToLower(host)
	}
	f.Zone = cmp.Or(f.Zone, f.Labels["zone"])
	if f.ConsulAddress == "" {
		return nil
	}
	if u, err := url.Parse(f.ConsulAddress); err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		return fmt.Errorf("--consul-address %q is not a URL like http://127.0.0.1:8500", f.ConsulAddress)
	}
	return nil
}

// sample is the share of exchanges in the access log as the proxy understands it, for which 0 is no answer.
func (f *flags) sample() float64 {
	if f.AccessLogSample <= 0 {
		return -1
	}
	return f.AccessLogSample
}

func (f *flags) logger() *slog.Logger {
	level := map[string]slog.Level{"debug": slog.LevelDebug, "info": slog.LevelInfo, "warn": slog.LevelWarn, "error": slog.LevelError}
	return slog.New(slog.NewJSONHandler(os.Stderr, &slog.HandlerOptions{Level: level[f.LogLevel]})).With("agent", f.Name)
}
