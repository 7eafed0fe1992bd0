package inet

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
)

// Unix stands in a list of networks for peers at a unix socket.
const Unix = "unix"

// Networks are a set of IP addresses, and perhaps all peers at unix sockets. The zero value
// is empty. They are not changed once they are made.
type Networks struct {
	// spans are in their order, and apart from each other.
	spans []span
	unix  bool
}

// A span are the addresses from first to last.
type span struct{ first, last netip.Addr }

// ParseNetworks reads addresses and networks, such as 10.0.0.0/8, with commas or spaces between.
// The word unix is read only if sockets.
func ParseNetworks(text string, sockets bool) (Networks, error) {
	var all Networks
	for _, word := range strings.FieldsFunc(text, func(r rune) bool { return r == ',' || r == ' ' }) {
		if sockets && word == Unix {
			all.unix = true
			continue
		}
		prefix, err := parseNetwork(word)
		if err != nil {
			return Networks{}, err
		}
		all.spans = append(all.spans, span{prefix.Addr(), last(prefix)})
	}
	all.merge()
	return all, nil
}

// parseNetwork reads an address or a network.
func parseNetwork(word string) (netip.Prefix, error) {
	if !strings.Contains(word, "/") {
		a, err := netip.ParseAddr(word)
		switch {
		case err != nil:
			return netip.Prefix{}, errors.New("is no address")
		case a.Zone() != "":
			return netip.Prefix{}, errors.New("has a zone, which a list cannot have")
		}
		a = a.Unmap()
		return netip.PrefixFrom(a, a.BitLen()), nil
	}
	p, err := netip.ParsePrefix(word)
	if err != nil {
		return netip.Prefix{}, errors.New("is no network")
	}
	if masked := p.Masked(); masked != p {
		return netip.Prefix{}, fmt.Errorf("has bits behind its first %d; write %s", p.Bits(), masked)
	}
	const mapped = 96 // the bits of ::ffff:0:0 before an IPv4 address
	if p.Addr().Is4In6() && p.Bits() >= mapped {
		p = netip.PrefixFrom(p.Addr().Unmap(), p.Bits()-mapped)
	}
	return p, nil
}

// last is the last address of a network.
func last(p netip.Prefix) netip.Addr {
	b := p.Addr().AsSlice()
	for bit := p.Bits(); bit < len(b)*8; bit++ {
		b[bit/8] |= 0x80 >> (bit % 8)
	}
	a, _ := netip.AddrFromSlice(b)
	return a
}

// merge puts the spans in order, and makes one of those that overlap.
func (n *Networks) merge() {
	slices.SortFunc(n.spans, func(a, b span) int { return a.first.Compare(b.first) })
	kept := n.spans[:0]
	for _, s := range n.spans {
		if k := len(kept); k > 0 && s.first.BitLen() == kept[k-1].last.BitLen() && s.first.Compare(kept[k-1].last) <= 0 {
			if s.last.Compare(kept[k-1].last) > 0 {
				kept[k-1].last = s.last
			}
			continue
		}
		kept = append(kept, s)
	}
	n.spans = kept
}

// Empty reports whether nothing is in the set.
func (n *Networks) Empty() bool { return len(n.spans) == 0 && !n.unix }

// Contains reports whether the address is in the set. One that is not valid stands for a
// unix socket.
func (n *Networks) Contains(a netip.Addr) bool {
	if !a.IsValid() {
		return n.unix
	}
	a = a.Unmap().WithZone("")
	// Addresses of IPv4 come before those of IPv6.
	i, found := slices.BinarySearchFunc(n.spans, a, func(s span, a netip.Addr) int { return s.first.Compare(a) })
	if found {
		return true
	}
	return i > 0 && n.spans[i-1].last.BitLen() == a.BitLen() && a.Compare(n.spans[i-1].last) <= 0
}
