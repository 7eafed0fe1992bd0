package topology_test

import (
	"testing"

	"golang.org/x/sys/unix"

	"nuthatch/internal/topology"
)

// Addresses that are found again are no other ones: what clients wrote there is not forgotten.
func TestAddressesAreFoundAgain(t *testing.T) {
	one, two := &unix.SockaddrInet4{Port: 1, Addr: [4]byte{127, 0, 0, 1}}, &unix.SockaddrInet6{Port: 2}
	var h topology.Health
	h.SetAddrs([]unix.Sockaddr{one, two})
	before := h.PublishedAddrs()
	h.SetAddrs([]unix.Sockaddr{&unix.SockaddrInet4{Port: 1, Addr: one.Addr}, &unix.SockaddrInet6{Port: 2}})
	if h.PublishedAddrs() != before {
		t.Error("the same addresses are published as others")
	}
	for _, others := range [][]unix.Sockaddr{{two, one}, {one}, {one, two, one}, nil} {
		h.SetAddrs(others)
		if h.PublishedAddrs() == before {
			t.Errorf("%v are not published", others)
		}
		h.SetAddrs([]unix.Sockaddr{one, two})
		before = h.PublishedAddrs()
	}
}
