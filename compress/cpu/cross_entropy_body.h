/* cross_entropy_body.h - included after softmax_body.h. */

static double cross_entropy(float *dlogits, const float *logits, int32_t label, size_t width,
                            float scale) {
    float largest = largest_in(logits, width), at_label = logits[label];
    float sum = exponentials(dlogits, logits, width, largest);
    scale_row(dlogits, width, scale / sum);
    dlogits[label] -= scale;
    return log((double)sum) + (double)(largest - at_label);
}
