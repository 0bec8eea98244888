package discovery

import (
	"cmp"
	"errors"
	"fmt"
	"net"
	"net/url"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// Kind is what kind of directory is asked.
type Kind string

// The kinds.
const (
	KindDNS        Kind = "dns"
	KindDNSSRV     Kind = "dns_srv"
	KindConsul     Kind = "consul"
	KindKubernetes Kind = "kubernetes"
	KindFile       Kind = "file"
)

// Config says who knows the targets. Two that are equal find the same; it can be the key of a map. Only the part that belongs
// to its kind counts.
type Config struct {
	Kind       Kind
	DNS        DNSConfig // for KindDNS and KindDNSSRV
	Consul     ConsulConfig
	Kubernetes KubernetesConfig
	File       FileConfig
}

// DNSConfig says what name servers are asked.
type DNSConfig struct {
	// Name is the host for addresses, and the whole name for SRV records.
	Name string
	// Port is that of every address. SRV records have their own.
	Port uint16
	// Family is "ip", "ipv4" or "ipv6". Empty means "ip", which is both.
	Family string
	// Resolver is the name server as host:port. Empty means those of the machine, and its search domains.
	Resolver string
	// MinRefresh and MaxRefresh bound the pause between two questions. 0 means 1 s and 5 min.
	MinRefresh time.Duration
	MaxRefresh time.Duration
}

// MaxTags is how many tags can be asked for.
const MaxTags = 16

// ConsulConfig says what Consul is asked.
type ConsulConfig struct {
	Service string
	// Tags that an instance must have, all of them; empty ones do not count.
	Tags [MaxTags]string
	// Datacenter, if another than that of the Consul agent.
	Datacenter string
	// Address is the Consul agent's URL. Empty means that of the environment.
	Address string
	// TokenSecret is the name of the secret that holds the token; empty for none.
	TokenSecret string
	// ZoneKey is the key of the metadata that holds the zone. Empty means "zone".
	ZoneKey string
}

// KubernetesConfig says what Kubernetes is asked.
type KubernetesConfig struct {
	// Namespace of the service. Empty means "default".
	Namespace string
	Service   string
	// Port is a name or a number. Empty means the only one.
	Port string
}

// FileConfig says which file is read.
type FileConfig struct {
	// Path is relative to the environment's folder.
	Path string
}

// FieldError says which setting a source cannot be made of.
type FieldError struct {
	// Field is the name of the setting within its kind: "resolver", "path".
	Field string
	Err   error
}

func (e *FieldError) Error() string { return e.Field + ": " + e.Err.Error() }

// Unwrap returns what is wrong with the setting.
func (e *FieldError) Unwrap() error { return e.Err }

const (
	defaultMinRefresh = time.Second
	defaultMaxRefresh = 5 * time.Minute
	// leastRefresh is the shortest pause that may be asked for, so that nobody asks name servers without a pause.
	leastRefresh = 50 * time.Millisecond

	defaultNamespace = "default"

	familyBoth = "ip"
	familyIPv4 = "ipv4"
	familyIPv6 = "ipv6"
)

// String names the source for logs and metrics; no two that differ in what they look for have the same.
func (c Config) String() string {
	var of string
	switch c.Kind {
	case KindDNS:
		of = net.JoinHostPort(c.DNS.Name, strconv.Itoa(int(c.DNS.Port)))
		if c.DNS.Family != "" && c.DNS.Family != familyBoth {
			of += " " + c.DNS.Family
		}
		of += at(c.DNS.Resolver)
	case KindDNSSRV:
		of = c.DNS.Name + at(c.DNS.Resolver)
	case KindConsul:
		of = c.Consul.Service
		for _, tag := range c.Consul.Tags {
			if tag != "" {
				of += " #" + tag
			}
		}
		of += at(c.Consul.Datacenter) + at(c.Consul.Address)
	case KindKubernetes:
		of = cmp.Or(c.Kubernetes.Namespace, defaultNamespace) + "/" + c.Kubernetes.Service
		if c.Kubernetes.Port != "" {
			of += ":" + c.Kubernetes.Port
		}
	case KindFile:
		of = c.File.Path
	}
	return string(c.Kind) + " " + of
}

func at(place string) string {
	if place == "" {
		return ""
	}
	return " at " + place
}

func (c Config) validate(e *Environment) error {
	switch c.Kind {
	case KindDNS, KindDNSSRV:
		return c.DNS.validate(c.Kind)
	case KindConsul:
		return c.Consul.validate(e)
	case KindKubernetes:
		if c.Kubernetes.Service == "" {
			return &FieldError{"service", errors.New("is missing")}
		}
	case KindFile:
		switch {
		case e.FilesDir == "":
			return &FieldError{"path", errors.New("this agent was started without a folder for such files (--discovery-dir)")}
		case !filepath.IsLocal(c.File.Path):
			return &FieldError{"path", errors.New("does not lie below the folder for such files")}
		}
	default:
		return &FieldError{"", fmt.Errorf("this agent does not know the kind %q", c.Kind)}
	}
	return nil
}

func (c DNSConfig) validate(kind Kind) error {
	named := map[Kind]string{KindDNS: "host", KindDNSSRV: "name"}[kind]
	if !isHostName(c.Name) {
		return &FieldError{named, errors.New("is no name that DNS has")}
	}
	if kind == KindDNS && c.Port == 0 {
		return &FieldError{"port", errors.New("is missing")}
	}
	switch c.Family {
	case "", familyBoth, familyIPv4, familyIPv6:
	default:
		return &FieldError{"family", fmt.Errorf("is %q, not ip, ipv4 or ipv6", c.Family)}
	}
	if c.Resolver != "" {
		if _, _, err := net.SplitHostPort(c.Resolver); err != nil {
			return &FieldError{"resolver", errors.New("is not host:port")}
		}
	}
	c = c.withDefaults()
	if c.MinRefresh < leastRefresh {
		return &FieldError{"min_refresh", fmt.Errorf("is below %v", leastRefresh)}
	}
	if c.MaxRefresh < c.MinRefresh {
		return &FieldError{"max_refresh", errors.New("is below min_refresh")}
	}
	return nil
}

func (c DNSConfig) withDefaults() DNSConfig {
	if c.MinRefresh == 0 {
		c.MinRefresh = defaultMinRefresh
		if c.MaxRefresh != 0 {
			c.MinRefresh = min(c.MinRefresh, c.MaxRefresh)
		}
	}
	if c.MaxRefresh == 0 {
		c.MaxRefresh = max(defaultMaxRefresh, c.MinRefresh)
	}
	return c
}

func (c ConsulConfig) validate(e *Environment) error {
	// The name becomes a part of a path.
	if c.Service == "" || c.Service == "." || c.Service == ".." || strings.ContainsAny(c.Service, "/\\?#%") {
		return &FieldError{"service", errors.New("is no name of a service")}
	}
	for field, address := range map[string]string{"address": c.Address, "address (--consul-address)": e.ConsulAddress} {
		if address == "" {
			continue
		}
		u, err := url.Parse(address)
		if err != nil || u.Host == "" || u.User != nil || u.Scheme != "http" && u.Scheme != "https" {
			return &FieldError{field, errors.New("is not a URL of http or https and a host")}
		}
	}
	return nil
}
