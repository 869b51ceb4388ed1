package shop

// +kubebuilder:rbac:groups=skipped,resources=vendored,verbs=get
