package http1

import "time"

// Limits bound what a peer may send, and how long it may take. The zero value of a field stands for its default.
type Limits struct {
	// TargetBytes bounds the request target: 414 beyond it. Default 8 KiB.
	TargetBytes int
	// HeaderBytes bounds a head, and a trailer section, in bytes on the wire: 431 beyond it. Default 64 KiB.
	HeaderBytes int
	// HeaderCount bounds the fields of a head, and of a trailer section: 431 beyond it. Default 100.
	HeaderCount int

	// Head is how long a head may take from its first byte on. Default 10 s.
	Head time.Duration
	// KeepAlive is how long a connection may be idle between two requests. Default 75 s.
	KeepAlive time.Duration
	// Silence is how long a body may stand still, in either direction. Default 30 s.
	Silence time.Duration
	// BytesPerSecond is the least rate of a body, and BodyGrace the time that a body may take on top. Default 240 after 5 s.
	BytesPerSecond int
	BodyGrace      time.Duration
	// Linger is how long a client that still sends may take to notice an answer that ends the connection. Default 1 s.
	Linger time.Duration
	// Tick is how often a wait looks whether somebody still waits for its result. Default 200 ms.
	Tick time.Duration

	// Portable leaves all reading and writing to net.Conn, also where using the socket itself saves system calls.
	Portable bool

	// Connect admits the method CONNECT; without it such requests are answered 501.
	Connect bool
}

// withDefaults fills in what was left out.
func (l Limits) withDefaults() Limits {
	number := func(value *int, usual int) {
		if *value <= 0 {
			*value = usual
		}
	}
	duration := func(value *time.Duration, usual time.Duration) {
		if *value <= 0 {
			*value = usual
		}
	}
	number(&l.TargetBytes, 8<<10)
	number(&l.HeaderBytes, 64<<10)
	number(&l.HeaderCount, 100)
	number(&l.BytesPerSecond, 240)
	duration(&l.Head, 10*time.Second)
	duration(&l.KeepAlive, 75*time.Second)
	duration(&l.Silence, 30*time.Second)
	duration(&l.BodyGrace, 5*time.Second)
	duration(&l.Linger, time.Second)
	duration(&l.Tick, 200*time.Millisecond)
	return l
}
