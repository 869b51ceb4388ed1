package cart

import (
	"context"
	"regexp"
)

// +kubebuilder:rbac:groups=shop.example.com,resources=carts;carts/status,verbs=get;list;watch
// +kubebuilder:rbac:groups=shop.example.com,resources=carts/status,verbs=update
// +kubebuilder:rbac:groups="",resources=events,verbs=create;patch
// +kubebuilder:rbac:groups=events.k8s.io,resources=events,verbs=patch;create
// +kubebuilder:rbac:groups="",resources=secrets,resourceNames=payment,verbs=get,namespace=shop,roleName=payment-reader
// +kubebuilder:rbac:groups=batch,resources=jobs,verbs=get;*

var pattern = regexp.MustCompile(`^[a-z]+"{2}//`)

// Reconciler brings carts into the wanted state.
type Reconciler struct {
	brace rune
}

// +kubebuilder:rbac:groups=apps,resources=deployments,verbs=get

// Reconcile does the work.
// +kubebuilder:rbac:groups=apps,resources=daemonsets,verbs=get
func (r *Reconciler) Reconcile(ctx context.Context) error {
	r.brace = '{'
	return ctx.Err() // {
}
