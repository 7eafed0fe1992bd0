package ctl

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"

	"nuthatch/internal/admin/api"
	"nuthatch/internal/config"
	"nuthatch/internal/preview"
)

// order is an action without arguments.
func order(path string) func(*session, []string) error {
	return func(s *session, _ []string) error { return s.give(path, nil) }
}

// poolOrder is a command about a pool, or about a server of it.
func poolOrder(what string) func(*session, []string) error {
	return func(s *session, args []string) error { return s.give(pathOf(args)+what, nil) }
}

// pathOf is the path of a pool, or of a server of it.
func pathOf(args []string) string {
	path := "/api/v1/pools/" + url.PathEscape(args[0]) + "/"
	if len(args) > 1 {
		path += "servers/" + url.PathEscape(args[1]) + "/"
	}
	return path
}

func (s *session) give(path string, order any) error {
	text, err := s.client.Post(s.ctx, path, order)
	var d api.Done
	if written, err := s.take(text, err, &d); written || err != nil {
		return err
	}
	_, err = fmt.Fprintf(s.out, "%s (%s)\n", d.Done, proxyName(d.PID, d.Host, d.ConfigFile))
	return err
}

// proxyName says which proxy it was.
func proxyName(pid int, host, file string) string {
	return fmt.Sprintf("process %d on %s, %s", pid, Plain(host), Plain(orDash(file)))
}

func (s *session) pause(args []string) error {
	return s.give(pathOf(args)+"pause", api.PauseOrder{Limit: s.For.Seconds()})
}

func (s *session) disable(args []string) error {
	return s.give(pathOf(args)+"disable", api.DisableOrder{Keys: s.Keys})
}

func (s *session) kill(ids []string) error {
	for _, id := range ids {
		err := s.give("/api/v1/clients/"+url.PathEscape(id)+"/kill", nil)
		if refused, ok := errors.AsType[*RefusedError](err); ok && refused.Status == http.StatusNotFound {
			return err // it names the client
		}
		if err != nil {
			return fmt.Errorf("client %s: %w", Plain(id), err)
		}
	}
	return nil
}

func (s *session) reload([]string) error {
	text, err := s.client.Post(s.ctx, "/api/v1/reload", nil)
	change, err := s.change(text, err)
	if err == nil && !s.JSON {
		err = s.sign("reloaded")
	}
	if err == nil && len(change.Refused) > 0 {
		return ErrWarned
	}
	if _, refused := errors.AsType[*RefusedError](err); refused {
		return fmt.Errorf("configuration not reloaded, the old one stays in force: %w", err)
	}
	return err
}

// sign writes which proxy carried out the action.
func (s *session) sign(done string) error {
	info, err := s.client.Identify(s.ctx)
	if err == nil {
		_, err = fmt.Fprintf(s.out, "%s (%s)\n", done, proxyName(info.PID, info.Host, info.ConfigFile))
	}
	return err
}

func (s *session) preview(args []string) error {
	var conf []byte
	if len(args) > 0 {
		var err error
		if conf, err = config.TextOf(args[0]); err != nil {
			return err
		}
	}
	text, err := s.client.Preview(s.ctx, conf)
	change, err := s.change(text, err)
	if err == nil && !s.JSON {
		err = s.sign("compared with what is in force")
	}
	if err == nil && change.Warned() {
		return ErrWarned
	}
	return err
}

// qualified names a key of a pool or, if that is empty, of the process.
func qualified(pool, key string) string {
	if pool == "" {
		return key
	}
	return pool + ": " + key
}

// change writes what changes.
func (s *session) change(text []byte, err error) (*preview.Change, error) {
	c := &preview.Change{Report: new(preview.Report)}
	written, err := s.take(text, err, c)
	if written || err != nil {
		return c, err
	}
	if err := c.Write(s.out); err != nil {
		return c, err
	}
	for _, n := range c.NotApplied {
		if _, err := fmt.Fprintf(s.out, "not applied: %s from %s to %s (%s)\n", qualified(n.Pool, n.Key), orDash(n.Old), orDash(n.New), n.Why); err != nil {
			return c, err
		}
	}
	for _, r := range c.Refused {
		if _, err := fmt.Fprintf(s.out, "not used: %s: %s (the old files stay in use)\n", qualified(r.Pool, r.Block), r.Why); err != nil {
			return c, err
		}
	}
	for _, w := range c.Warnings {
		if _, err := fmt.Fprintf(s.out, "warning: %s\n", Plain(w)); err != nil {
			return c, err
		}
	}
	return c, nil
}
