package daemon

import (
	"errors"
	"fmt"
	"maps"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"nuthatch/internal/admin"
	"nuthatch/internal/eventloop"
	"nuthatch/internal/msg"
	"nuthatch/internal/proxy"
	"nuthatch/internal/socket"
	"nuthatch/internal/testkit"
)

// A plan is a configuration that a test of reloads writes, in parts that change
// independently.
type plan struct {
	dir     string // of the unix sockets
	servers []string
	tcp     map[string]string // addresses of the pools that listen on TCP, by name

	mode, backlog, lines string
	tls                  string   // the lines with which the pool on the unix socket speaks TLS
	pools                []string // beside the one on a unix socket
	adminAt, adminMode   string
	process              string
}

func (p *plan) path(name string) string { return filepath.Join(p.dir, name) }

func (p *plan) text() string {
	pools := pool("alpha", `"`+strings.TrimSpace(p.path("alpha")+" "+p.mode)+`"`, p.servers, "backlog: "+p.backlog, p.lines)
	for _, name := range p.pools {
		listen := p.tcp[name]
		if listen == "" {
			listen = p.path(name)
		}
		pools += pool(name, listen, p.servers)
	}
	return pools + "nuthatch:\n  threads: 2\n  admin: \"" + strings.TrimSpace(p.adminAt+" "+p.adminMode) + "\"\n" + p.process
}

const ejecting = "auto_eject_hosts: true\n  server_failure_limit: 1\n  server_retry_timeout: 3600000"

// a reloadStage is an instance that has something of all that a reload can change.
type reloadStage struct {
	*stage
	plan plan
	// failAt is the step that is to fail.
	failAt string
	// goroutines is how many there were before it started.
	goroutines int
}

func startReloadStage(t *testing.T) *reloadStage {
	t.Helper()
	dir, err := os.MkdirTemp("", "nt")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	server := testkit.StartRedis(t)
	s := &reloadStage{stage: &stage{t: t, file: filepath.Join(dir, "nuthatch.yml"), servers: []*testkit.Server{server}}}
	s.plan = plan{
		dir: dir, servers: []string{server.Entry("s1"), "redis.example:6379:1 s2"},
		tcp:  map[string]string{"beta": testkit.FreeAddr(t), "gamma": testkit.FreeAddr(t)},
		mode: "0660", backlog: "100", lines: ejecting,
		pools: []string{"beta"}, adminAt: filepath.Join(dir, "admin"), process: "  max_memory: 64mb\n",
	}
	cert, key := testkit.NewAuthority(t).Pair("localhost")
	s.plan.tls = "\n  tls: {cert: " + cert + ", key: " + key + "}"
	s.put(&s.plan)
	d := &directory{t: t}
	d.point(server.Addr())
	s.goroutines = runtime.NumGoroutine()
	s.start(Options{lookup: d.lookup, failing: func(step string) error {
		if step == s.failAt {
			return errors.New("it is to fail")
		}
		return nil
	}})
	d.point("127.0.0.1:1") // whoever looks again finds another address
	return s
}

func (s *reloadStage) put(p *plan) {
	s.t.Helper()
	if err := os.WriteFile(s.file, []byte(p.text()), 0o600); err != nil {
		s.t.Fatal(err)
	}
}

// prepare brings about what only a running proxy has: a server that is ejected and a
// pool that is paused.
func (s *reloadStage) prepare() {
	s.t.Helper()
	alpha := s.current.Load().topo[s.current.Load().pool("alpha")]
	alpha.Checked(alpha.Servers()[0], msg.Timedout, s.Now())
	if err := s.Pause(s.t.Context(), "beta", time.Hour, "test"); err != nil {
		s.t.Fatal(err)
	}
}

// facts are what a reload that is refused must leave as it was.
func (s *reloadStage) facts() map[string]string {
	s.t.Helper()
	g := s.current.Load()
	is := map[string]string{
		"generation": fmt.Sprintf("%p, resolver %p, checks %p", g, g.resolver, g.checks),
		"tokens":     fmt.Sprint(len(g.tokens.all)),
		"admin":      fmt.Sprint(s.AdminAddr(), s.ActionAddr()),
		"memory":     fmt.Sprintf("%d of Go's, %d", debug.SetMemoryLimit(-1), s.resources.Memory().Soft+s.resources.Memory().Hard),
		"clients":    fmt.Sprint(s.identity.Limits().MaxClients(), *s.resources.Descriptors()),
		"watching":   fmt.Sprint(s.watcher.cancel != nil),
	}
	for i, t := range g.topo {
		name := g.conf.Pools[i].Name
		is["pause of "+name] = s.PausedUntil(name).String()
		for j := range g.conf.Pools[i].Servers {
			is[fmt.Sprintf("server %d of %s", j, name)] = fmt.Sprintf("%+v at %+v", t.Servers()[j].State(), t.Servers()[j].Addrs())
		}
	}
	files, err := os.ReadDir(s.plan.dir)
	if err != nil {
		s.t.Fatal(err)
	}
	for _, f := range files {
		info, err := f.Info()
		if err != nil {
			s.t.Fatal(err)
		}
		is["file "+f.Name()] = info.Mode().String()
	}
	fds, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		s.t.Fatal(err)
	}
	for _, f := range fds {
		var fd int
		if _, err := fmt.Sscan(f.Name(), &fd); err != nil {
			s.t.Fatal(err)
		}
		if n, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_ACCEPTCONN); err != nil || n == 0 {
			continue
		}
		backlog := "its own"
		if info, err := unix.GetsockoptTCPInfo(fd, unix.IPPROTO_TCP, unix.TCP_INFO); err == nil {
			backlog = fmt.Sprint(info.Sacked)
		}
		is["listener "+socket.LocalName(fd)] = "backlog " + backlog
	}
	return is
}

// held is how much there is of what may come and go by itself.
func held(t *testing.T) (goroutines, descriptors int) {
	t.Helper()
	fds, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	return runtime.NumGoroutine(), len(fds)
}

// mustRefuse writes p and reloads: it is refused, and nothing differs.
func (s *reloadStage) mustRefuse(what string, p *plan) {
	s.t.Helper()
	before := s.facts()
	goroutines, descriptors := held(s.t)
	s.put(p)
	if _, err := s.Reload("test"); err == nil {
		s.t.Fatalf("%s: the reload is not refused", what)
	}
	testkit.Await(s.t, "everything to be as it was: "+what, func() error {
		after := s.facts()
		var differs []string
		if g, d := held(s.t); g > goroutines || d > descriptors {
			differs = append(differs, fmt.Sprintf("%d goroutines, %d descriptors, was %d, %d", g, d, goroutines, descriptors))
		}
		for _, name := range slices.Sorted(maps.Keys(before)) {
			if after[name] != before[name] {
				differs = append(differs, fmt.Sprintf("%s: %s, was %s", name, after[name], before[name]))
			}
			delete(after, name)
		}
		for name, value := range after {
			differs = append(differs, name+": "+value+", was not there")
		}
		if len(differs) > 0 {
			return errors.New(strings.Join(differs, "\n"))
		}
		return nil
	})
}

// mustTake writes p and reloads.
func (s *reloadStage) mustTake(what string, p *plan) {
	s.t.Helper()
	s.put(p)
	if _, err := s.Reload("test"); err != nil {
		s.t.Fatalf("%s: %v", what, err)
	}
}

// reloadChanges are what a reload may have to do, one for each of its steps and for
// each thing that it makes or changes.
var reloadChanges = map[string]func(p *plan){
	"mode of a pool's socket": func(p *plan) { p.mode = "0666" },
	"backlog":                 func(p *plan) { p.backlog = "200" },
	"ejections end":           func(p *plan) { p.lines = "timeout: 5000" },
	"checks begin":            func(p *plan) { p.lines = ejecting + "\n  health_check: {interval: 1h}" },
	"pool added":              func(p *plan) { p.pools = append(slices.Clip(p.pools), "gamma") },
	"pool on a socket added":  func(p *plan) { p.pools = append(slices.Clip(p.pools), "delta") },
	"pool removed":            func(p *plan) { p.pools = nil },
	"admin listener moves":    func(p *plan) { p.adminAt = p.path("other") },
	"admin socket's mode":     func(p *plan) { p.adminMode = "0666" },
	"memory":                  func(p *plan) { p.process = "  max_memory: 128mb\n" },
	"watch":                   func(p *plan) { p.process += "  watch: true\n" },
	"socket for actions":      func(p *plan) { p.process += "  admin_socket: " + p.path("actions") + "\n" },
	"tls":                     func(p *plan) { p.lines += p.tls },
	"users":                   func(p *plan) { p.lines += "\n  users: {wren: {rules: \"on >sesame ~* +@all\"}}" },
	"looks like a cluster": func(p *plan) {
		p.lines += "\n  hash_tag: \"{}\"\n  emulate: {cluster: true, announce: 127.0.0.1:1, peers: [127.0.0.1:1, 127.0.0.1:2]}"
	},
	"traces": func(p *plan) { p.process += "  tracing: {endpoint: \"http://127.0.0.1:1\", sample: 100}\n" },
	"token":  func(p *plan) { p.process += "  admin_token: sesame\n" },
}

// TestReloadStepFails: whichever step fails, with all before it done, nothing
// differs afterwards, and the same file is taken when the step does not fail.
func TestReloadStepFails(t *testing.T) {
	for _, step := range reloadSteps {
		t.Run(step.name, func(t *testing.T) {
			s := startReloadStage(t)
			s.prepare()
			for _, leftOut := range []string{"admin socket's mode", "admin listener moves"} {
				p := s.plan
				for _, name := range slices.Sorted(maps.Keys(reloadChanges)) {
					if name != leftOut && name != "pool removed" {
						reloadChanges[name](&p)
					}
				}
				s.failAt = step.name
				s.mustRefuse("without "+leftOut, &p)
			}
			p := s.plan
			for _, name := range slices.Sorted(maps.Keys(reloadChanges)) {
				reloadChanges[name](&p)
			}
			s.mustRefuse("everything", &p)
			s.failAt = ""
			s.mustTake("the same file", &p)
			if conn, err := net.Dial("unix", p.path("alpha")); err != nil {
				t.Error(err)
			} else {
				conn.Close()
			}
		})
	}
}

// TestReloadFaults: every fault that a file can have beside everything that a
// reload can change.
func TestReloadFaults(t *testing.T) {
	s := startReloadStage(t)
	taken := s.servers[0].Addr()
	faults := map[string]func(p *plan){
		"the file": func(p *plan) { p.lines += "\n  no: key" },
		"a missing certificate": func(p *plan) {
			p.lines = strings.TrimSuffix(p.lines, p.tls) + "\n  tls: {cert: " + p.path("none") + ", key: " + p.path("none") + "}"
		},
		"a missing token": func(p *plan) { p.process += "  admin_token_file: " + p.path("none") + "\n" },
		"admin is taken":  func(p *plan) { p.adminAt, p.adminMode = taken, "" },
		"no socket for actions": func(p *plan) {
			p.process = strings.ReplaceAll(p.process, p.path("actions"), p.path("nuthatch.yml"))
			if !strings.Contains(p.process, "admin_socket") {
				p.process += "  admin_socket: " + p.path("no/where") + "\n"
			}
		},
		"a port is taken": func(p *plan) {
			p.tcp, p.pools = map[string]string{"zeta": taken}, append(slices.Clip(p.pools), "zeta")
		},
		"a socket's folder":  func(p *plan) { p.pools = append(slices.Clip(p.pools), "no/where") },
		"a file in the way":  func(p *plan) { p.pools = append(slices.Clip(p.pools), "nuthatch.yml") },
		"a mode that cannot": func(p *plan) { p.mode = "0600" },
	}
	for _, name := range slices.Sorted(maps.Keys(reloadChanges)) {
		t.Run(name, func(t *testing.T) {
			s.t = t
			s.mustTake("the plan", &s.plan)
			s.prepare()
			for fault, add := range faults {
				p := s.plan
				p.tcp = maps.Clone(p.tcp)
				reloadChanges[name](&p)
				add(&p)
				if fault == "a mode that cannot" {
					// Somebody has put another file in the socket's place.
					hidden := s.plan.path("hidden")
					if err := errors.Join(os.Rename(p.path("alpha"), hidden), os.WriteFile(p.path("alpha"), nil, 0o600)); err != nil {
						t.Fatal(err)
					}
					s.mustRefuse(fault, &p)
					if err := os.Rename(hidden, p.path("alpha")); err != nil {
						t.Fatal(err)
					}
					continue
				}
				s.mustRefuse(fault, &p)
			}
			p := s.plan
			reloadChanges[name](&p)
			s.mustTake("the corrected file", &p)
		})
	}
}

// TestPauseOfARemovedPool: nobody is told of the pause of a pool that is gone, even
// if another one has its name.
func TestPauseOfARemovedPool(t *testing.T) {
	server := testkit.StartRedis(t)
	a, b := testkit.FreeAddr(t), testkit.FreeAddr(t)
	alpha, beta := pool("alpha", a, testkit.Names(server)), pool("beta", b, testkit.Names(server))
	s := startStage(t, alpha+beta)
	if err := s.Pause(t.Context(), "beta", time.Hour, "test"); err != nil {
		t.Fatal(err)
	}
	gone := s.current.Load().topo[s.current.Load().pool("beta")]
	s.mustReload(alpha)
	if got := s.PausedUntil("beta"); !got.IsZero() {
		t.Errorf("a pool that is gone is paused until %v", got)
	}
	if err := s.pause(gone, "beta", time.Hour, "somebody"); !errors.Is(err, admin.ErrNoPool) {
		t.Errorf("a pause that comes beside the reload: %v", err)
	}
	s.mustReload(alpha + beta)
	if got := s.PausedUntil("beta"); !got.IsZero() {
		t.Errorf("a new pool of the name is paused until %v", got)
	}
	if n := len(s.pauses.running); n != 0 {
		t.Errorf("%d pauses are kept", n)
	}
	testkit.Dial(t, testkit.Redis, b).Do("SET", "k", "v")
	if err := s.Pause(t.Context(), "alpha", time.Hour, "test"); err != nil {
		t.Fatal(err)
	}
	s.mustReload(alpha + beta)
	if s.PausedUntil("alpha").IsZero() || s.PausedBy("alpha") != "test" {
		t.Error("a reload ends the pause of a pool that stays, or forgets who ordered it")
	}
}

// TestReloadBesideStop: whatever a reload has come to when the proxy is stopped,
// nothing is left of it.
func TestReloadBesideStop(t *testing.T) {
	for _, step := range reloadSteps {
		t.Run(step.name, func(t *testing.T) {
			s := startReloadStage(t)
			p := s.plan
			for _, name := range slices.Sorted(maps.Keys(reloadChanges)) {
				reloadChanges[name](&p)
			}
			s.put(&p)
			at, goOn, stopped := make(chan struct{}), make(chan struct{}), make(chan struct{})
			s.opts.failing = func(is string) error {
				if is == step.name {
					close(at)
					<-goOn
				}
				return nil
			}
			reloaded := make(chan error)
			go func() { _, err := s.Reload("test"); reloaded <- err }()
			<-at
			go func() { s.Stop(); close(stopped) }()
			<-s.life.stopping
			close(goOn)
			if err := <-reloaded; err != nil && !errors.Is(err, admin.ErrEnding) {
				t.Error(err)
			}
			<-stopped
			for _, name := range append(slices.Clone(p.pools), "alpha", "beta") {
				if addr := p.tcp[name]; addr != "" {
					if conn, err := net.Dial("tcp", addr); err == nil {
						conn.Close()
						t.Errorf("%s still listens", name)
					}
				} else if _, err := os.Lstat(p.path(name)); err == nil {
					t.Errorf("the socket of %s is left", name)
				}
			}
			testkit.Await(t, "nothing to run any more", func() error {
				if n := runtime.NumGoroutine(); n > s.goroutines {
					buf := make([]byte, 1<<16)
					return fmt.Errorf("%d goroutines, before %d:\n%s", n, s.goroutines, buf[:runtime.Stack(buf, true)])
				}
				return nil
			})
			if _, err := s.Reload("test"); !errors.Is(err, admin.ErrEnding) {
				t.Errorf("a reload after the end: %v", err)
			}
		})
	}
}

// TestOnLoopWhileItEnds: what a loop is asked to do when it ends is done, or never will be.
func TestOnLoopWhileItEnds(t *testing.T) {
	server := testkit.StartRedis(t)
	s := startStage(t, pool("alpha", testkit.FreeAddr(t), testkit.Names(server)))
	go s.Stop()
	for done := false; !done; {
		ran := 0 // the race detector finds who touches it late
		err := s.loops.onFirst(func(*proxy.Context) { ran++ })
		if (err == nil) != (ran == 1) {
			t.Fatalf("%v, and it ran %d times", err, ran)
		}
		done = err != nil
	}
}

// TestAdoptFails: a socket that was inherited and cannot be used is closed.
func TestAdoptFails(t *testing.T) {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	if err := unix.Bind(fd, &unix.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}); err != nil {
		t.Fatal(err)
	}
	name := socket.LocalName(fd)
	host, port, err := net.SplitHostPort(name)
	if err != nil {
		t.Fatal(err)
	}
	// A connected socket cannot listen.
	peer, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer peer.Close()
	if err := unix.Connect(fd, &unix.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}, Port: peer.Addr().(*net.TCPAddr).Port}); err != nil {
		t.Fatal(err)
	}
	in := &inherited{sockets: make(map[string]*eventloop.ListenSocket)}
	if err := in.add([]*os.File{os.NewFile(uintptr(fd), "inherited")}); err != nil {
		t.Fatal(err)
	}
	var number int
	if _, err := fmt.Sscan(port, &number); err != nil {
		t.Fatal(err)
	}
	if got, err := in.listenOn(t.Context(), socket.ListenSpec{Host: host, Port: number, Backlog: 1}); err == nil || got != nil {
		t.Errorf("it is %v, %v", got, err)
	}
	fds, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range fds {
		if _, err := fmt.Sscan(f.Name(), &number); err != nil {
			t.Fatal(err)
		}
		if socket.LocalName(number) == name {
			t.Errorf("its descriptor is still open: %d", number)
		}
	}
}
