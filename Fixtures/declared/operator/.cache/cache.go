package cache

// +kubebuilder:rbac:groups=skipped,resources=cache,verbs=get
