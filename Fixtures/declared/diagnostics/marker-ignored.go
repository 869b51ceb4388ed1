package shop

// Open opens the shop.
// +kubebuilder:rbac:groups=apps,resources=deployments,verbs=get
func Open() {}
