// Package main runs the operator.
package main

// Leader election:
//
// +kubebuilder:rbac:groups=coordination.k8s.io,resources=leases,verbs=get;create;update,namespace=shop
// +kubebuilder:rbac:groups=core,resources=events,verbs=create;patch
// +kubebuilder:rbac:urls=/metrics,verbs=get

func main() {}
