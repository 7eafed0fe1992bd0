// Package examples holds what runs nuthatch elsewhere: systemd units, an image,
// Kubernetes objects. Its tests see to it that they are what they seem.
package examples
