package shop

// +kubebuilder:rbac:groups=apps,resources=deployments,verbs=get ;list
