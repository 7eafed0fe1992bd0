// Package admin shows operators what the proxy does, and carries out their
// actions. It has its own goroutines and never runs on an event loop: it asks
// the loops through functions that the daemon passes in.
package admin
