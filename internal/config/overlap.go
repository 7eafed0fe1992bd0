package config

import (
	"net/netip"
	"path"
	"strings"

	"go.yaml.in/yaml/v3"
)

// A hostKind is what an address's host stands for.
type hostKind uint8

const (
	hostIP4 hostKind = iota
	hostIP6
	hostName
	everyIP4     // 0.0.0.0
	everyIP      // [::], which is every IPv4 address too
	numHostKinds = iota
)

// host is a host in one way of writing, and its kind.
func (a Address) host() (string, hostKind) {
	ip, err := netip.ParseAddr(a.Host)
	if err != nil {
		return strings.ToLower(a.Host), hostName
	}
	ip = ip.Unmap()
	switch {
	case ip.IsUnspecified() && ip.Is4():
		return ip.String(), everyIP4
	case ip.IsUnspecified():
		return ip.String(), everyIP
	case ip.Is4():
		return ip.String(), hostIP4
	}
	return ip.String(), hostIP6
}

// Overlaps reports whether two listeners cannot have these addresses at the same time,
// without looking names up: they are the same, or one of them is every address of the
// machine. A name is taken to stand for some IPv4 address, and localhost for the
// loopback ones.
func (a Address) Overlaps(b Address) bool {
	if a.Network != b.Network || a.Port != b.Port || a.Network == "" {
		return false
	}
	if a.Network == NetworkUnix {
		return path.Clean(a.Path) == path.Clean(b.Path)
	}
	host, kind := a.host()
	other, otherKind := b.host()
	return host == other || kind.covers(otherKind) || otherKind.covers(kind) || isLoopback(host, other) || isLoopback(other, host)
}

// covers reports whether a host of that kind is every address of another's.
func (k hostKind) covers(other hostKind) bool {
	return k == everyIP || k == everyIP4 && other != hostIP6
}

// isLoopback reports whether name is localhost, and host one of the addresses that it
// stands for.
func isLoopback(name, host string) bool {
	return name == localhost && (host == loopback4 || host == loopback6)
}

const (
	localhost = "localhost"
	loopback4 = "127.0.0.1"
	loopback6 = "::1"
)

// A listening is an address that something of the file listens at.
type listening struct {
	Address
	node *yaml.Node // where that is written
	by   string     // what: "pool 'x'"
	// shares: it lets others listen at its port.
	shares bool
}

// A listenTable finds overlaps without comparing each address with each.
type listenTable struct {
	exact map[Address]*listening
	// The first of each kind at a port: of those that share it, and of those that do not.
	ports map[portKey]*[numHostKinds]*listening
}

type portKey struct {
	port   int
	shares bool
}

// canonical is a's place in the table.
func (a Address) canonical() Address {
	if a.Network == NetworkUnix {
		return Address{Network: a.Network, Path: path.Clean(a.Path)}
	}
	a.Host, _ = a.host()
	return a
}

// add enters l, and returns the address that overlaps it, or nil. With a shared
// port one listener may have every address and another a single one: the kernel
// prefers the exact one.
func (t *listenTable) add(l *listening) *listening {
	if t.exact == nil {
		t.exact, t.ports = make(map[Address]*listening), make(map[portKey]*[numHostKinds]*listening)
	}
	if other := t.find(l); other != nil {
		return other
	}
	t.exact[l.canonical()] = l
	if l.Network == NetworkUnix {
		return nil
	}
	key := portKey{l.Port, l.shares}
	if t.ports[key] == nil {
		t.ports[key] = new([numHostKinds]*listening)
	}
	if _, kind := l.host(); t.ports[key][kind] == nil {
		t.ports[key][kind] = l
	}
	return nil
}

// find returns the address that overlaps l, or nil.
func (t *listenTable) find(l *listening) *listening {
	at := l.canonical()
	hosts := []string{at.Host}
	switch at.Host {
	case localhost:
		hosts = append(hosts, loopback4, loopback6)
	case loopback4, loopback6:
		hosts = append(hosts, localhost)
	}
	for _, host := range hosts {
		at.Host = host
		if other := t.exact[at]; other != nil {
			return other
		}
	}
	for _, shares := range []bool{false, true} {
		kinds := t.ports[portKey{l.Port, shares}]
		if kinds == nil || shares && l.shares || l.Network == NetworkUnix {
			continue
		}
		for _, other := range kinds {
			if other != nil && l.Overlaps(other.Address) {
				return other
			}
		}
	}
	return nil
}

// taken says what uses an address.
func (l *listening) taken(addr Address) string {
	text := addr.String() + " is taken already, by " + l.by + " on line " + lineOf(l.node)
	if l.canonical() != addr.canonical() {
		text += ", which listens at " + l.String()
	}
	return text
}

// checkListens finds overlapping addresses of the pools and the admin listener.
func (r *reader) checkListens(p *Process) {
	var table listenTable
	for _, b := range r.pools {
		for _, at := range []struct {
			key    string
			of     Address
			shares bool
		}{{"listen", b.pool.Listen, b.pool.ReusePort}, {"tls.listen", b.pool.TLS.Listen, b.pool.ReusePort}, {sentinelListenKey, b.pool.Emulate.SentinelListen, false}} {
			listen := b.seen[at.key]
			if len(listen.read) == 0 {
				continue
			}
			l := &listening{Address: at.of, node: listen.name, by: "pool " + quote(b.pool.Name), shares: at.shares}
			l.Mode = 0
			if other := table.add(l); other != nil {
				r.fault(listen.read[0], &b.block, at.key, other.taken(l.Address))
			}
		}
	}
	own := &block{prefix: processBlock + "."}
	if p.AdminSocket.Network == NetworkUnix {
		l := &listening{Address: p.AdminSocket, node: r.adminSocket, by: "'admin_socket'"}
		l.Mode = 0
		if other := table.add(l); other != nil {
			r.fault(r.adminSocket, own, "admin_socket", other.taken(l.Address))
		}
	}
	if p.Admin.Network == "" {
		return
	}
	admin := &listening{Address: p.Admin}
	admin.Mode = 0
	switch other := table.find(admin); {
	case other == nil:
	case p.AdminWritten:
		r.fault(r.admin, own, "admin", other.taken(admin.Address))
	default:
		r.warn(other.node, own, "admin",
			"there is no admin listener: its default address "+other.taken(admin.Address)+"; name another one")
	}
}
