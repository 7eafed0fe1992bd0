package peers

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	"nuthatch/internal/config"
	"nuthatch/internal/emulate"
	"nuthatch/internal/testkit"
)

// A proxy is a peer that answers what it is told to.
type proxy struct {
	listener net.Listener
	mu       sync.Mutex
	answer   string // empty: none
}

// startProxy starts one that answers nothing.
func startProxy(t *testing.T) *proxy {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := &proxy{listener: l}
	t.Cleanup(func() { l.Close() })
	go p.accept()
	return p
}

func (p *proxy) accept() {
	for {
		conn, err := p.listener.Accept()
		if err != nil {
			return
		}
		go p.serve(conn)
	}
}

func (p *proxy) serve(conn net.Conn) {
	defer conn.Close()
	question := make([]byte, len(emulate.Question))
	for {
		if _, err := io.ReadFull(conn, question); err != nil || string(question) != emulate.Question {
			return
		}
		p.mu.Lock()
		answer := p.answer
		p.mu.Unlock()
		if _, err := io.WriteString(conn, answer); err != nil || strings.HasPrefix(answer, "-") {
			return
		}
	}
}

// says has it answer with text, a bulk.
func (p *proxy) says(text string) { p.saysRaw(fmt.Sprintf("$%d\r\n%s\r\n", len(text), text)) }

func (p *proxy) saysRaw(answer string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.answer = answer
}

func (p *proxy) address() config.Address {
	at := p.listener.Addr().(*net.TCPAddr)
	return config.Address{Network: config.NetworkTCP, Host: "127.0.0.1", Port: at.Port}
}

// A board has what a watcher has published and told last.
type board struct {
	mu                sync.Mutex
	living, sentinels []emulate.Address
	told              []Seen
}

func (b *board) publish(all, sentinels []emulate.Address) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.living, b.sentinels = all, sentinels
}

func (b *board) tell(s Seen) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.told = append(b.told, s)
}

// await waits until these live.
func (b *board) await(t *testing.T, want ...emulate.Address) {
	t.Helper()
	testkit.Await(t, fmt.Sprintf("%v to live", want), func() error {
		b.mu.Lock()
		defer b.mu.Unlock()
		if !slices.Equal(b.living, want) {
			return fmt.Errorf("these live: %v", b.living)
		}
		return nil
	})
}

var (
	self   = emulate.Address{Host: "10.0.0.1", Port: 6379}
	first  = emulate.Address{Host: "10.0.0.2", Port: 6379}
	second = emulate.Address{Host: "10.0.0.3", Port: 6379}
)

func card(at emulate.Address) string { return emulate.Card{At: at, Pool: "alpha"}.String() }

func options(b *board, at ...config.Address) Options {
	return Options{
		Pool: "alpha", Self: self, Peers: at, Publish: b.publish, Tell: b.tell,
		Lookup: func(_ context.Context, host string, port int) ([]string, error) {
			return []string{net.JoinHostPort(host, strconv.Itoa(port))}, nil
		},
	}
}

// state is what is known of the peer that is asked at an address.
func state(w *Watcher, at string) Seen {
	all := w.Seen()
	if i := slices.IndexFunc(all, func(s Seen) bool { return s.Asked == at }); i >= 0 {
		return all[i]
	}
	return Seen{}
}

// TestComeAndGo: peers join when they answer, and go when they leave, end, or answer otherwise.
func TestComeAndGo(t *testing.T) {
	t.Parallel()
	a, b, me := startProxy(t), startProxy(t), startProxy(t)
	a.says(card(first))
	b.says(card(second))
	me.says(card(self))
	got := new(board)
	w := New(options(got, a.address(), b.address(), me.address()))
	w.Look(t.Context())
	got.await(t, first, second) // at once
	if s := state(w, me.address().String()); s.State != Self {
		t.Errorf("this proxy is %+v", s)
	}
	w.Start()
	defer w.Stop()
	a.says(emulate.Card{At: first, Pool: "alpha", Leaving: true}.String())
	got.await(t, second)
	b.listener.Close()
	b.saysRaw("-ERR ends\r\n") // which ends the connection that was kept
	got.await(t)
	a.says(card(first))
	got.await(t, first)
	a.says(card(second)) // it announces another address
	got.await(t, second)
	var states []State
	got.mu.Lock()
	defer got.mu.Unlock()
	for _, s := range got.told {
		if s.Asked == a.address().String() {
			states = append(states, s.State)
		}
	}
	if want := []State{Lives, Leaves, Lives, Lives}; !slices.Equal(states, want) {
		t.Errorf("told: %v, want %v", states, want)
	}
}

// TestStart: a proxy that is among its own peers, and does not listen yet when it asks them, is not
// told of. A peer that does not answer then, nor afterwards, is.
func TestStart(t *testing.T) {
	t.Parallel()
	me, other, dead := testkit.FreeAddr(t), startProxy(t), testkit.FreeAddr(t)
	other.says(card(first))
	got := new(board)
	parse := func(addr string) config.Address {
		a, err := config.ParseListen(addr)
		if err != nil {
			t.Fatal(err)
		}
		return a
	}
	o := options(got, parse(me), other.address(), parse(dead))
	w := New(o)
	w.Look(t.Context())
	got.await(t, first)
	if s := state(w, me); s.State != Silent {
		t.Errorf("this proxy is %+v", s)
	}
	l, err := net.Listen("tcp", me)
	if err != nil {
		t.Fatal(err)
	}
	p := &proxy{listener: l}
	p.says(card(self))
	go p.accept()
	defer l.Close()
	w.Start()
	defer w.Stop()
	testkit.Await(t, "all to be known", func() error {
		got.mu.Lock()
		defer got.mu.Unlock()
		if s := state(w, me); s.State != Self || len(got.told) < 3 {
			return fmt.Errorf("this proxy is %+v, told: %v", s, got.told)
		}
		return nil
	})
	got.mu.Lock()
	defer got.mu.Unlock()
	told := slices.DeleteFunc(slices.Clone(got.told), func(s Seen) bool { return s.State == Self }) // of which nobody makes anything
	if len(told) != 2 || told[0].State != Lives || told[1].Asked != dead || told[1].State != Silent {
		t.Errorf("told: %+v", told)
	}
}

// TestSelf: the address that this proxy announces is not asked.
func TestSelf(t *testing.T) {
	t.Parallel()
	got := new(board)
	w := New(options(got, config.Address{Network: config.NetworkTCP, Host: self.Host, Port: self.Port}))
	w.Look(t.Context())
	defer w.Stop()
	if s := state(w, self.String()); s.State != Self || len(got.told) > 0 {
		t.Errorf("it is %+v, told: %v", s, got.told)
	}
}

// TestNoPeers: what is no proxy with this pool is none, and named.
func TestNoPeers(t *testing.T) {
	t.Parallel()
	for answer, want := range map[string]string{
		"-ERR unknown subcommand 'MYID'\r\n":       "it refuses to say who it is: ERR unknown subcommand 'MYID'",
		"+OK\r\n":                                  "it is no nuthatch",
		"$-1\r\n":                                  "it is no nuthatch",
		"$99999\r\n":                               "it is no nuthatch",
		"$40\r\n" + self.ID() + "\r\n":             "it is no nuthatch of this release",
		"$20\r\nnuthatch-peer-1 x y \r\n":          "it is no nuthatch of this release",
		"$29\r\nnuthatch-peer-1 serves h:0 ab\r\n": "it is no nuthatch of this release",
		strings.Repeat("x", 2*maxAnswer):           "its answer is too long",
		"$53\r\n" + emulate.Card{At: first, Pool: "beta"}.String() + "\r\n":             "its pool has another name",
		"$-1\r\n" + strings.Repeat("$40\r\n"+strings.Repeat("a", 40)+"\r\n", maxAnswer): "it is no nuthatch",
	} {
		if text, is := strings.CutPrefix(answer, "$53\r\n"); is {
			answer = fmt.Sprintf("$%d\r\n%s", len(text)-2, text)
		}
		p, got := startProxy(t), new(board)
		p.saysRaw(answer)
		w := New(options(got, p.address()))
		w.Look(t.Context())
		if s := state(w, p.address().String()); s.State != Stranger || s.Problem != want {
			t.Errorf("%.60q is %+v, want %q", answer, s, want)
		}
		w.Stop()
		if len(got.living) > 0 || len(got.told) != 1 {
			t.Errorf("%.60q: these live: %v; told: %v", answer, got.living, got.told)
		}
	}
}

// TestNames: a name has many peers, which come and go with its addresses. If it cannot be looked
// up, they stay.
func TestNames(t *testing.T) {
	t.Parallel()
	a, b := startProxy(t), startProxy(t)
	a.says(card(first))
	b.says(card(second))
	var mu sync.Mutex
	addrs, failing := []string{a.address().String(), b.address().String()}, error(nil)
	set := func(err error, to ...string) {
		mu.Lock()
		defer mu.Unlock()
		addrs, failing = to, err
	}
	got := new(board)
	o := options(got, config.Address{Network: config.NetworkTCP, Host: "proxies.example", Port: 6379})
	o.Refresh = 1
	o.Lookup = func(context.Context, string, int) ([]string, error) {
		mu.Lock()
		defer mu.Unlock()
		return addrs, failing
	}
	w := New(o)
	w.Look(t.Context())
	got.await(t, first, second)
	set(errors.New("no such name"))
	w.Look(t.Context())
	got.await(t, first, second)
	if s := state(w, "proxies.example:6379"); s.State != Silent || s.Problem != "no such name" {
		t.Errorf("the name is %+v", s)
	}
	set(nil, b.address().String())
	w.Look(t.Context())
	got.await(t, second)
	if all := w.Seen(); len(all) != 1 {
		t.Errorf("seen: %+v", all)
	}
	next := New(o) // after a reload
	got.publish(nil, nil)
	next.Continue(w)
	got.await(t, second)
	w.Stop()
	next.Stop()
}

// FuzzReadCard: no answer is taken for a card that is none, or read beyond its bound.
func FuzzReadCard(f *testing.F) {
	f.Add("$53\r\n" + card(first) + "\r\n")
	f.Add("-ERR\r\n")
	f.Fuzz(func(t *testing.T, answer string) {
		c, err := readCard(bufio.NewReaderSize(strings.NewReader(answer), maxAnswer))
		if err != nil {
			return
		}
		if again, err := emulate.ParseCard(c.String()); err != nil || again.At != c.At || again.Leaving != c.Leaving {
			t.Errorf("%q is %+v, and again %+v: %v", answer, c, again, err)
		}
	})
}
