package listener

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"strconv"
	"strings"
)

// ProxyProtocol says whether the connections of a listener begin with a header of the PROXY protocol, in which a load balancer
// names the client (https://www.haproxy.org/download/3.0/doc/proxy-protocol.txt, versions 1 and 2).
type ProxyProtocol uint8

const (
	// ProxyProtocolOff expects none.
	ProxyProtocolOff ProxyProtocol = iota
	// ProxyProtocolTrusted expects one from every trusted proxy; other peers are clients themselves, whose headers mean nothing.
	ProxyProtocolTrusted
	// ProxyProtocolRequired expects one from everybody, and everybody to be a trusted proxy.
	ProxyProtocolRequired
)

// proxyHeader is what a header says.
type proxyHeader struct {
	// source is the client; not valid if the proxy speaks for itself, such as when it checks health, or does not say.
	source netip.AddrPort
}

const (
	proxySignature = "\r\n\r\n\x00\r\nQUIT\n"
	// proxyText is the longest header of version 1, its end included (section 2.1).
	proxyText = 107
	// proxyBinary bounds what follows the fixed part of version 2: addresses and the extensions that nobody reads here. The format
	// allows 64 KiB.
	proxyBinary = 4 << 10
)

var errProxyHeader = errors.New("the connection does not begin with a header of the PROXY protocol")

// readProxyHeader reads exactly the header and nothing behind it, so that the connection needs no buffer afterwards. The end of
// version 1 is only found byte by byte.
func readProxyHeader(r io.Reader) (proxyHeader, error) {
	var start [len(proxySignature)]byte
	// No header is shorter.
	if _, err := io.ReadFull(r, start[:]); err != nil {
		return proxyHeader{}, fmt.Errorf("reading the header of the PROXY protocol: %w", err)
	}
	switch {
	case string(start[:]) == proxySignature:
		return readProxyBinary(r)
	case strings.HasPrefix(string(start[:]), "PROXY "):
		return readProxyText(r, start[:])
	}
	return proxyHeader{}, errProxyHeader
}

func readProxyText(r io.Reader, start []byte) (proxyHeader, error) {
	line := make([]byte, len(start), proxyText)
	copy(line, start)
	for line[len(line)-1] != '\n' {
		if len(line) == proxyText {
			return proxyHeader{}, errors.New("the header of the PROXY protocol is too long")
		}
		if _, err := io.ReadFull(r, line[len(line):len(line)+1]); err != nil {
			return proxyHeader{}, fmt.Errorf("reading the header of the PROXY protocol: %w", err)
		}
		line = line[:len(line)+1]
	}
	return parseProxyText(string(line))
}

// parseProxyText reads version 1: "PROXY TCP4 192.0.2.1 192.0.2.2 56324 443\r\n" (section 2.1).
func parseProxyText(line string) (proxyHeader, error) {
	text, whole := strings.CutSuffix(line, "\r\n")
	fields := strings.Split(text, " ")
	switch {
	case !whole || len(fields) < 2 || fields[0] != "PROXY":
		return proxyHeader{}, errProxyHeader
	case fields[1] == "UNKNOWN":
		// What follows is to be ignored.
		return proxyHeader{}, nil
	case len(fields) != 6 || fields[1] != "TCP4" && fields[1] != "TCP6":
		return proxyHeader{}, errProxyHeader
	}
	source, err := proxyAddress(fields[1] == "TCP4", fields[2], fields[4])
	if err != nil {
		return proxyHeader{}, err
	}
	if _, err := proxyAddress(fields[1] == "TCP4", fields[3], fields[5]); err != nil {
		return proxyHeader{}, err
	}
	return proxyHeader{source}, nil
}

func proxyAddress(four bool, address, port string) (netip.AddrPort, error) {
	at, err := netip.ParseAddr(address)
	if err != nil || at.Is4() != four || at.Zone() != "" {
		return netip.AddrPort{}, errors.New("the header of the PROXY protocol holds no such address")
	}
	number, err := strconv.ParseUint(port, 10, 16)
	if err != nil || strconv.FormatUint(number, 10) != port {
		return netip.AddrPort{}, errors.New("the header of the PROXY protocol holds no such port")
	}
	return netip.AddrPortFrom(at.Unmap(), uint16(number)), nil
}

// Of version 2 (section 2.2): the low half of the first byte is the command, the low half of the second the transport, its high
// half the family.
const (
	proxyLocal = 0x20
	proxyProxy = 0x21

	proxyFamilyAny   = 0x0
	proxyFamilyInet  = 0x1
	proxyFamilyInet6 = 0x2
	proxyFamilyUnix  = 0x3
)

func readProxyBinary(r io.Reader) (proxyHeader, error) {
	var fixed [4]byte
	if _, err := io.ReadFull(r, fixed[:]); err != nil {
		return proxyHeader{}, fmt.Errorf("reading the header of the PROXY protocol: %w", err)
	}
	length := int(binary.BigEndian.Uint16(fixed[2:]))
	if length > proxyBinary {
		return proxyHeader{}, errors.New("the header of the PROXY protocol is too long")
	}
	rest := make([]byte, length)
	if _, err := io.ReadFull(r, rest); err != nil {
		return proxyHeader{}, fmt.Errorf("reading the header of the PROXY protocol: %w", err)
	}
	return parseProxyBinary(fixed[0], fixed[1], rest)
}

func parseProxyBinary(command, protocol byte, rest []byte) (proxyHeader, error) {
	family, transport := protocol>>4, protocol&0xf
	switch {
	case command == proxyLocal:
		return proxyHeader{}, nil
	case command != proxyProxy:
		return proxyHeader{}, errors.New("the header of the PROXY protocol has an unknown version or command")
	case family > proxyFamilyUnix || transport > 2 || (family == proxyFamilyAny) != (transport == 0):
		return proxyHeader{}, errors.New("the header of the PROXY protocol has an unknown family or transport")
	case family == proxyFamilyAny || family == proxyFamilyUnix:
		// The client is somebody who has no address here.
		return proxyHeader{}, nil
	case family == proxyFamilyInet && len(rest) >= 12:
		return proxyHeader{netip.AddrPortFrom(netip.AddrFrom4([4]byte(rest)), binary.BigEndian.Uint16(rest[8:]))}, nil
	case family == proxyFamilyInet6 && len(rest) >= 36:
		return proxyHeader{netip.AddrPortFrom(netip.AddrFrom16([16]byte(rest)).Unmap(), binary.BigEndian.Uint16(rest[32:]))}, nil
	}
	return proxyHeader{}, errors.New("the header of the PROXY protocol is too short for its addresses")
}

// ParseProxyProtocol reads "off", "trusted" or "required".
func ParseProxyProtocol(text string) (ProxyProtocol, error) {
	switch text {
	case "off":
		return ProxyProtocolOff, nil
	case "trusted":
		return ProxyProtocolTrusted, nil
	case "required":
		return ProxyProtocolRequired, nil
	}
	return 0, fmt.Errorf("the PROXY protocol is off, trusted or required, not %q", text)
}
