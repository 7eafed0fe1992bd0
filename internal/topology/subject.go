package topology

import "nuthatch/internal/config"

// Subject names a server at the beginning of a sentence in the log: by its name and its
// address, or by its address alone if that is its name.
func Subject(s *config.Server) string {
	name, addr := s.StatsName(), s.Address.String()
	if name == addr {
		return "server " + addr
	}
	return "server " + name + " (" + addr + ")"
}
