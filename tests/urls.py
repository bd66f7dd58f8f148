"""No addresses: tests bring their own."""

urlpatterns = []
