function envoy_on_request(request_handle)
  local grpcSvcHeader = request_handle:headers():get("grpcsvc")
  local allowedVersions = {"v1", "v2", "v3", "v4"}
  local isInAllowedVersions = false
  for _, allowedVersion in ipairs(allowedVersions) do
    if grpcSvcHeader == allowedVersion then
      isInAllowedVersions = true
      break
    end
  end
  if not isInAllowedVersions then
    request_handle:headers():replace("grpcsvc", "v1")
  end
end
