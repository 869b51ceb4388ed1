//go:build ignore

package main

// +kubebuilder:rbac:groups=skipped,resources=generate,verbs=get
