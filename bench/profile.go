package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"time"
)

// profileWorks are what the profile is taken of by which the compiler optimizes nuthatch
// (`make profile`): each kind of request, small and large, one and many at a time. None is
// meant to be measured longer than the others, so that the profile favours none.
const profileWorks = "get-p1,set-p1,get-p16,set-p16,get-p100,set-p100,mget-100,mget-1000,mset-100,del-100," +
	"get-10kb,set-10kb,get-1mb,set-1mb,mixed-get,mc-get,mc-set,mc-get-100,get-c1000,multi-5,multi-5-p16,multi-5-steps"

// profileTime is how long each piece of work is profiled, in seconds.
const profileTime = 3

// profiled is nuthatch with its profiler. It serves the profile at the address that others
// have their statistics at.
func profiled(admin string) func(s servers, t topology, listen []string) string {
	return func(s servers, t topology, listen []string) string {
		return nuthatchYAML(1)(s, t, listen) + fmt.Sprintf("  admin: %s\n  admin_pprof: true\n", admin)
	}
}

// profile writes a CPU profile of nuthatch to a file: the sum of those of all works.
func (r *rig) profile(ctx context.Context, works []work, file string) error {
	var parts []string
	for _, w := range works {
		part := filepath.Join(r.dir, w.name+".pprof")
		if err := r.profileWork(ctx, w, part); err != nil {
			return fmt.Errorf("profile of %s: %w", w.name, err)
		}
		parts = append(parts, part)
		fmt.Fprintf(r.progress, "profile of %s\n", w.name)
	}
	args := append([]string{"tool", "pprof", "-proto", "-output", file}, parts...)
	if out, err := exec.CommandContext(ctx, "go", args...).CombinedOutput(); err != nil {
		return fmt.Errorf("adding the profiles: %w\n%s", err, out)
	}
	return nil
}

// profileWork writes the profile of one work.
func (r *rig) profileWork(ctx context.Context, w work, part string) (err error) {
	admin, err := freeAddrs(1)
	if err != nil {
		return err
	}
	p := r.programs[0]
	p.config = profiled(admin[0])
	running, err := r.start(ctx, p, w)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, running.stop()) }()
	length := profileTime * time.Second
	ctx, cancel := within(ctx, length)
	defer cancel()
	s, err := openSession(ctx, variants(w.one), w.clients, running.addrs...)
	if err != nil {
		return err
	}
	defer s.close()
	fetched := make(chan error, 1)
	go func() { fetched <- fetchProfile(ctx, admin[0], part) }()
	// The load outlasts the profile.
	_, err = s.closedLoop(ctx, length+time.Second)
	return errors.Join(err, <-fetched)
}

// fetchProfile writes the next seconds' profile of the program at the address to a file.
func fetchProfile(ctx context.Context, admin, file string) error {
	url := fmt.Sprintf("http://%s/debug/pprof/profile?seconds=%d", admin, profileTime)
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer func() { _ = resp.Body.Close() }()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		return err
	}
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("%s: %s\n%s", url, resp.Status, body)
	}
	return os.WriteFile(file, body, 0o600)
}
