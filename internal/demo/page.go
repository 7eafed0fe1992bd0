package demo

import (
	"fmt"
	"net"
	"strconv"
	"strings"
	"text/tabwriter"

	"nuthatch/internal/config"
)

// sampleKeys are what the demo writes. Node names place servers on the
// continuum, so each key lands on the same server in every run.
var sampleKeys = []string{
	"user:1", "user:2", "user:3", "user:4", "user:5", "user:6",
	"session:a", "session:b", "session:c", "cart:17", "cart:18", "cart:19",
}

// page is what runs, and how the demo shows it.
type page struct {
	*protocol
	host      string
	port      int
	statsPort int
	admin     net.Addr // of the admin listener; nil if its port was taken
	servers   []*server
}

func (p *page) address() string { return net.JoinHostPort(p.host, strconv.Itoa(p.port)) }

// yaml is the demo's configuration as a user would write it.
func (p *page) yaml() string {
	var b strings.Builder
	fmt.Fprintf(&b, "demo:\n  listen: %s\n  hash: murmur\n  distribution: ketama\n", p.address())
	fmt.Fprintf(&b, "  redis: %t\n  servers:\n", p.redis)
	for _, s := range p.servers {
		fmt.Fprintf(&b, "   - %s:1 %s\n", s.address, s.name)
	}
	return b.String()
}

// config reads yaml the way every configuration is read.
func (p *page) config() (*config.Config, error) {
	return config.Parse("demo", []byte(p.yaml()))
}

// place writes keys through the proxy, then finds out from the servers
// themselves who got which.
func (p *page) place(keys []string) error {
	if err := p.write(p.address(), keys); err != nil {
		return err
	}
	for _, s := range p.servers {
		var err error
		if s.keys, err = p.held(s.address, keys); err != nil {
			return err
		}
	}
	return nil
}

// String is the page itself.
func (p *page) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "nuthatch demo: one address, %d %s servers behind it\n\n", len(p.servers), p.title)

	w := tabwriter.NewWriter(&b, 0, 0, 3, ' ', 0)
	fmt.Fprintf(w, "  proxy\t%s\t%s protocol\n", p.address(), p.title)
	fmt.Fprintf(w, "  statistics\t127.0.0.1:%d\tconnect and read one JSON document\n", p.statsPort)
	if p.admin != nil {
		fmt.Fprintf(w, "  page\thttp://%s/\tfor a browser; in a terminal: nuthatch top\n", p.admin)
	}
	for _, s := range p.servers {
		fmt.Fprintf(w, "  %s\t%s\t%s\n", s.name, s.address, strings.Join(s.keys, " "))
	}
	w.Flush() // to a strings.Builder, which does not fail

	fmt.Fprintf(&b, "\nThe %d sample keys were written through the proxy; each server was asked which it has.\n", len(sampleKeys))
	b.WriteString("\nTry:\n")
	for _, line := range p.try(p.host, p.port) {
		fmt.Fprintf(&b, "  %s\n", line)
	}
	b.WriteString("\nCtrl-C ends it.\n")
	return b.String()
}
