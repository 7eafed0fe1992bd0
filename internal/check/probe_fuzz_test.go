package check

import (
	"bytes"
	"net"
	"testing"
	"time"

	"nuthatch/internal/config"
)

// deaf is a connection that takes all that it is told, and says what was given.
type deaf struct {
	net.Conn
	said *bytes.Reader
}

func (d *deaf) Read(b []byte) (int, error)  { return d.said.Read(b) }
func (d *deaf) Write(b []byte) (int, error) { return len(b), nil }
func (d *deaf) SetDeadline(time.Time) error { return nil }

// FuzzWire: whatever a server, or what should be nutcracker, says, it is read
// within bounds.
func FuzzWire(f *testing.F) {
	for _, said := range []string{
		"+OK\r\n", ":1\r\n", "-ERR x\r\n", "$3\r\nabc\r\n", "$-1\r\n", "$-9223372036854775808\r\n", "$99999999999\r\n", "\r\n", "\n", "",
		"$57\r\n# Commandstats\r\ncmdstat_strlen:calls=12,usec=1,usec_per_call=1\r\n", "STAT decr_misses 5\r\nSTAT x y\r\nEND\r\n", "STAT decr_misses x\r\nEND\r\n",
		"NOT_FOUND\r\n", "STORED\r\n", "DELETED\r\n",
	} {
		f.Add([]byte(said), true)
		f.Add([]byte(said), false)
	}
	f.Add(bytes.Repeat([]byte("x"), 2*maxLine), true)
	f.Fuzz(func(t *testing.T, said []byte, redis bool) {
		protocol := config.Memcached
		if redis {
			protocol = config.Redis
		}
		for i := range probesOf(&config.Pool{Protocol: protocol}) {
			q := &probesOf(&config.Pool{Protocol: protocol})[i]
			for _, ask := range []func(w *wire) error{
				func(w *wire) error { return w.ask(q, "key") },
				func(w *wire) error { _, err := w.count(q); return err },
				func(w *wire) error { return w.store("key") },
				func(w *wire) error { _, err := w.take("key"); return err },
			} {
				err := ask(newWire(&deaf{said: bytes.NewReader(said)}, protocol))
				if len(said) == 0 && err == nil {
					t.Error("who says nothing is understood")
				}
			}
		}
	})
}
