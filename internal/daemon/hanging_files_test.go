package daemon

import (
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"nuthatch/internal/config"
	"nuthatch/internal/testkit"
)

// A file whose reading would wait is refused, by a start, by -t and by a reload, whatever key names
// it, and the files of certificates are watched on.
func TestPipesForFiles(t *testing.T) {
	server, a := testkit.StartRedis(t), testkit.NewAuthority(t)
	cert, key := a.Pair("proxy")
	pipe := filepath.Join(t.TempDir(), "pipe")
	if err := syscall.Mkfifo(pipe, 0o600); err != nil {
		t.Fatal(err)
	}
	listen := testkit.FreeAddr(t)
	text := func(lines ...string) string { return pool("alpha", listen, testkit.Names(server), lines...) }
	s := startStage(t, text(tlsLines(cert, key)))
	for process, lines := range map[string][]string{
		"":                                       {tlsLines(cert, key), "redis_auth_file: " + pipe},
		"  # acl\n":                              {tlsLines(cert, key), "acl_file: " + pipe},
		"  # ca\n":                               {tlsLines(cert, key), "server_tls: {ca: " + pipe + "}"},
		"  tls_ticket_keys_file: " + pipe + "\n": {tlsLines(cert, key)},
		"  admin_token_file: " + pipe + "\n":     {tlsLines(cert, key)},
		"  include: " + pipe + "\n":              {tlsLines(cert, key)},
	} {
		s.process = process
		s.write(text(lines...))
		if _, err := s.Reload("test"); err == nil || !strings.Contains(err.Error(), "it is no regular file") {
			t.Errorf("%v %s: %v", lines, process, err)
		}
		conf, err := config.Load(s.file)
		if err == nil { // else the included file is refused already
			found := Check(Options{Config: conf}, true)
			// The certificate ends soon, of which -t warns.
			if !slices.ContainsFunc(found, func(f Finding) bool { return !f.Doubt && strings.Contains(f.Err.Error(), "it is no regular file") }) {
				t.Errorf("-t of %v %s: %v", lines, process, found)
			}
		}
	}
	s.process = ""
	if err := os.Rename(pipe, cert); err != nil {
		t.Fatal(err)
	}
	s.mustReload(text(tlsLines(cert, key)))
	awaitTrue(t, "that the pipe is refused", func() bool { return strings.Contains(s.certificateOf("alpha", "tls").Refused, "it is no regular file") })
	if err := os.Remove(cert); err != nil {
		t.Fatal(err)
	}
	a.Pair("proxy")
	awaitTrue(t, "that the new file is read", func() bool { return s.certificateOf("alpha", "tls").Refused == "" })
}

// The configuration itself may come from a pipe.
func TestConfigurationFromPipe(t *testing.T) {
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	go func() {
		_, _ = w.WriteString("alpha:\n  listen: 127.0.0.1:1\n")
		_, _ = w.WriteString("  servers: [127.0.0.1:2:1]\n")
		_ = w.Close()
	}()
	conf, err := config.Load("/proc/self/fd/" + strconv.Itoa(int(r.Fd())))
	if err != nil || len(conf.Pools) != 1 {
		t.Errorf("%v, %v", conf, err)
	}
}

// A proxy ends while a reload waits for a file, and a drain does.
func TestEndWhileReloadHangs(t *testing.T) {
	for _, step := range []string{"file", "tokens", "certificates", "users"} {
		hangs, leave := make(chan struct{}), make(chan struct{})
		s := &stage{t: t, file: filepath.Join(t.TempDir(), "nuthatch.yml")}
		s.write(pool("alpha", testkit.FreeAddr(t), []string{"127.0.0.1:1:1 a"}))
		s.start(Options{failing: func(at string) error {
			if at == step {
				close(hangs)
				<-leave
			}
			return nil
		}})
		reloaded := make(chan error, 1)
		go func() {
			_, err := s.Reload("test")
			reloaded <- err
		}()
		<-hangs
		if step == "users" {
			s.Drain("test")
			<-s.life.ended
		}
		s.Stop()
		if err := <-reloaded; err == nil {
			t.Errorf("%s: a reload that was left alone has succeeded", step)
		}
		close(leave)
	}
}
