package socket

import (
	"bytes"
	"net"
	"net/netip"
	"os"
	"slices"
	"strings"
	"sync"
	"time"
)

// The hosts file is read here, and not by the package net, which keeps what it has read for
// five seconds. A name that moves in the file would be followed that much later.

// freshTime is how old a file must be when it is read, for its time and size to tell it from
// the next one: a file system's clock is coarse.
const freshTime = time.Second

// A hostsFile is /etc/hosts, or a file like it. It may be used on any goroutine.
type hostsFile struct {
	path string
	// order is a file like /etc/nsswitch.conf.
	order string

	mutex sync.Mutex
	read  fileState
	names map[string][]net.IPAddr
}

// A fileState tells a file's content from another one; settled: surely.
type fileState struct {
	modified time.Time
	size     int64
	settled  bool
}

var machineHosts = &hostsFile{path: "/etc/hosts", order: "/etc/nsswitch.conf"}

// find returns the addresses of host in the order of the file. There is none if the machine asks
// DNS before it looks into the file.
func (f *hostsFile) find(host string) []net.IPAddr {
	if !f.isFirst() {
		return nil
	}
	f.mutex.Lock()
	defer f.mutex.Unlock()
	f.refresh()
	return f.names[nameOf(host)]
}

// refresh reads the file, if it may be another one than that which was read.
func (f *hostsFile) refresh() {
	st, err := os.Stat(f.path)
	if err != nil {
		f.names, f.read = nil, fileState{}
		return
	}
	now := fileState{modified: st.ModTime(), size: st.Size(), settled: time.Since(st.ModTime()) > freshTime}
	if f.read.settled && f.read == now {
		return
	}
	text, err := os.ReadFile(f.path)
	if err != nil {
		f.names, f.read = nil, fileState{}
		return
	}
	f.names, f.read = parseHosts(text), now
}

// parseHosts reads lines of an address, names, and perhaps a comment. A line that has another
// form says nothing.
func parseHosts(text []byte) map[string][]net.IPAddr {
	names := make(map[string][]net.IPAddr)
	for line := range bytes.Lines(text) {
		line, _, _ = bytes.Cut(line, []byte{'#'})
		words := strings.Fields(string(line))
		if len(words) < 2 {
			continue
		}
		addr, err := netip.ParseAddr(words[0])
		if err != nil {
			continue
		}
		ip := net.IPAddr{IP: addr.Unmap().AsSlice(), Zone: addr.Zone()}
		for _, word := range words[1:] {
			name := nameOf(word)
			if !slices.ContainsFunc(names[name], func(has net.IPAddr) bool { return has.IP.Equal(ip.IP) && has.Zone == ip.Zone }) {
				names[name] = append(names[name], ip)
			}
		}
	}
	return names
}

// nameOf is a name as it is compared: case and a last full stop do not matter.
func nameOf(host string) string { return strings.ToLower(strings.TrimSuffix(host, ".")) }

// isFirst reports whether the machine looks into the hosts file before it asks DNS.
func (f *hostsFile) isFirst() bool {
	text, err := os.ReadFile(f.order)
	if err != nil {
		return true
	}
	for line := range strings.Lines(string(text)) {
		line, _, _ = strings.Cut(line, "#")
		key, sources, found := strings.Cut(line, ":")
		if !found || strings.TrimSpace(key) != "hosts" {
			continue
		}
		words := strings.Fields(sources)
		files, dns := slices.Index(words, "files"), slices.Index(words, "dns")
		return files >= 0 && (dns < 0 || files < dns)
	}
	return true
}
