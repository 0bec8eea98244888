//go:build !linux

package main

// stayWakeful has been found to be of use on Linux only.
func stayWakeful() {}
