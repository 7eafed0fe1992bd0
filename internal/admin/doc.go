// Package admin shows what the proxy does to those who run it. It has its own
// goroutines and never runs on an event loop: what it needs from one it gets
// through functions that the daemon hands in.
package admin
