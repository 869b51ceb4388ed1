package shop

// +kubebuilder:rbac:groups=a,resources=x,verbs=get
// +kubebuilder:rbac:groups=b,resources=x,verbs=get
// +kubebuilder:rbac:groups=a;b,resources=x,verbs=list
